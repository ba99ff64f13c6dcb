//! `gavah seed`

use std::path::PathBuf;

use clap::Args;
use gavah_store::Seed;
use serde_json::json;

use crate::exit::Exit;
use crate::offline::{self, ConfigFlag};
use crate::output::Output;
use crate::problem::Problem;

#[derive(Debug, Args)]
pub(crate) struct SeedArgs {
    #[command(flatten)]
    config: ConfigFlag,
    /// Reference data (TOML): entries with a known id are replaced; workflow versions and tariff tables, once published, never change
    #[arg(value_name = "SEED.toml")]
    seed: PathBuf,
}

pub(crate) async fn run(args: &SeedArgs, output: Output) -> Result<Exit, Problem> {
    let config = args.config.load()?;
    let at = |problem: &str| format!("{}: {problem}", args.seed.display());
    let seed: Seed = toml::from_str(&offline::read(&args.seed)?)
        .map_err(|error| Problem::usage(at(error.to_string().trim_end())))?;
    seed.check()
        .map_err(|error| Problem::Usage(error.0.iter().map(|place| at(&wrong(place))).collect()))?;
    let store = offline::open(&config).await?;
    let loaded = async {
        let act = offline::act(&store).await?;
        store.load_seed(&act, &seed).await
    };
    let loaded = loaded.await;
    store.close().await;
    loaded?;
    output.show(&json!({
        "terms": seed.term.len(),
        "workflows": seed.workflow.len(),
        "calls": seed.call.len(),
        "agreements": seed.agreement.len(),
        "tariff_years": seed.tariff.len(),
    }));
    Ok(Exit::Ok)
}

/// An entry is named by its place; some say more.
fn wrong(place: &str) -> String {
    match place.contains(' ') {
        true => place.to_owned(),
        false => format!("{place} is wrong or missing"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use gavah_domain::institution::InstitutionType;
    use gavah_domain::validity::DocumentKind;

    use super::*;

    fn sample() -> Seed {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/seed.sample.toml");
        toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn the_sample_can_be_loaded_as_it_is() {
        sample().check().unwrap();
    }

    #[test]
    fn the_sample_opens_both_services_to_all_eligible_types_and_kinds() {
        let seed = sample();
        let eligible: HashSet<_> = InstitutionType::ALL
            .iter()
            .filter(|kind| kind.is_eligible())
            .map(|kind| kind.as_str())
            .collect();
        assert_eq!(seed.call.len(), 2);
        for call in &seed.call {
            let types: HashSet<_> = call.eligible_types.iter().map(String::as_str).collect();
            assert_eq!(types, eligible, "{}", call.id);
            assert_eq!(call.state, "OPEN");
            assert!(
                seed.workflow
                    .iter()
                    .any(|workflow| workflow.id == call.workflow)
            );
            assert!(
                seed.agreement
                    .iter()
                    .any(|agreement| agreement.call == call.id)
            );
        }
        let kinds = seed
            .call
            .iter()
            .find(|call| call.service == "VALIDITY_CODE");
        assert_eq!(kinds.unwrap().document_kinds.len(), DocumentKind::ALL.len());
    }

    #[test]
    fn the_sample_knows_the_terms_of_two_years_and_a_free_tariff_year() {
        let seed = sample();
        for year in [1404, 1405] {
            let terms = seed.term.iter().filter(|term| term.academic_year == year);
            assert_eq!(terms.count(), 3, "{year}");
        }
        assert_eq!(seed.tariff.len(), 1);
        assert_eq!((seed.tariff[0].year, seed.tariff[0].row.len()), (1405, 0));
    }
}
