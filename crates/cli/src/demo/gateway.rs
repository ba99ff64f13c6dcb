//! The demo's payment gateway: it moves no money.

use std::sync::Arc;

use gavah_domain::{Clock, SystemClock, SystemEntropy, new_uuid};
use gavah_gateway::simulator::{Simulator, SimulatorConfig};
use miette::{IntoDiagnostic, Result};

use crate::world::{World, write_secret};

/// Starts a simulated gateway in a world; also gives the section of the configuration that leads there. It runs until it is
/// dropped.
pub(super) async fn start(world: &World) -> Result<(Simulator, String)> {
    let secret = |file: &str| {
        let secret = new_uuid(SystemClock.now(), &SystemEntropy).into_diagnostic()?;
        write_secret(&world.dir.join(file), &secret.to_string())?;
        Ok::<_, miette::Report>(secret.to_string())
    };
    let config = SimulatorConfig {
        merchant_id: secret("merchant")?,
        access_token: secret("token")?,
        capacity: 1_000,
        now: Arc::new(|| SystemClock.now()),
    };
    let simulator = Simulator::start(config, 0).await.into_diagnostic()?;
    let section = format!(
        "[payment]\nmerchant_id_file = \"merchant\"\naccess_token_file = \"token\"\n\
         base_url = \"{}\"\nrefund_url = \"{}\"\n",
        simulator.base_url(),
        simulator.refund_url()
    );
    Ok((simulator, section))
}
