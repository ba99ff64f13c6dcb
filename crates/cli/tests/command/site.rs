//! A folder with everything a service needs, made by the program itself.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use gavah_domain::{Clock, JalaliDate, SystemClock};
use serde_json::Value;
use tempfile::TempDir;

/// How often and how long a server is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: u32 = 3000;

/// The trust domain of the site's callers.
const TRUST_DOMAIN: &str = "command.gavah.example";

/// What a command printed and how it ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The one JSON object on standard output.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(
            self.stdout.lines().count(),
            1,
            "{}{}",
            self.stdout,
            self.stderr
        );
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The result of a command that ended with `code`.
    #[track_caller]
    pub(crate) fn ended(&self, code: i32) -> Value {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self.json()
    }

    /// The problems or the one message of a command that was refused with `code`.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32) -> Vec<String> {
        let error = self.ended(code)["error"].take();
        let texts = |value: &Value| value.as_str().unwrap().to_owned();
        match error["problems"].as_array() {
            Some(problems) => problems.iter().map(texts).collect(),
            None => vec![texts(&error["message_en"])],
        }
    }
}

/// A folder in which commands are run.
pub(crate) struct Site {
    folder: TempDir,
}

impl Site {
    /// An empty one.
    pub(crate) fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// One with PKI, keys and configuration, but without a database.
    pub(crate) fn configured() -> Self {
        let site = Self::empty();
        site.run("pki init pki").ended(0);
        site.run("pki issue pki --server localhost --out server")
            .ended(0);
        site.run("keys init --signing signing.key --subject-hash subject.key")
            .ended(0);
        site.write("gavah.toml", &config());
        site
    }

    /// One with a database and its first caller, `organization`.
    pub(crate) fn registered() -> Self {
        let site = Self::configured();
        let ran = site.run("migrate --config gavah.toml").ended(0)["migrations_run"].clone();
        assert!(ran.as_u64() > Some(0), "{ran}");
        site.write("seed.toml", &seed());
        site.run("seed --config gavah.toml seed.toml").ended(0);
        site.identity("organization");
        site.run(
            "caller register --config gavah.toml --id organization --class ORGANIZATION \
             --display-name Synthetic --certificate organization.pem",
        )
        .ended(0);
        site
    }

    /// Issues a caller's certificate and returns its fingerprint.
    pub(crate) fn identity(&self, id: &str) -> String {
        let line = format!("pki issue pki --caller {id} --trust-domain {TRUST_DOMAIN} --out {id}");
        self.run(&line).ended(0)["fingerprint"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Runs a command with JSON as output; its arguments are separated by spaces.
    pub(crate) fn run(&self, line: &str) -> Ran {
        self.run_with(line, "")
    }

    /// The same with a text on standard input.
    pub(crate) fn run_with(&self, line: &str, input: &str) -> Ran {
        let mut child = self
            .command(&format!("--output json {line}"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        Ran::of(child.wait_with_output().unwrap())
    }

    /// Runs a command as people do.
    pub(crate) fn run_plainly(&self, line: &str) -> Ran {
        Ran::of(self.command(line).stdin(Stdio::null()).output().unwrap())
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gavah"));
        command
            .args(line.split_whitespace())
            .current_dir(self.folder.path())
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Starts the service on free ports.
    pub(crate) fn serve(&self) -> Serving<'_> {
        // A file that a killed process left behind must not be believed.
        self.write("ready.json", "left behind");
        let log = fs::File::create(self.path("serve.log")).unwrap();
        let child = self
            .command("serve --config gavah.toml --ready-file ready.json")
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut serving = Serving {
            site: self,
            child,
            endpoint: String::new(),
        };
        for _ in 0..LOOKS {
            assert_eq!(
                serving.child.try_wait().unwrap(),
                None,
                "{}",
                self.read("serve.log")
            );
            let ready = fs::read_to_string(self.path("ready.json")).unwrap_or_default();
            if let Ok(ready) = serde_json::from_str::<Value>(&ready) {
                let address = ready["address"].as_str().unwrap();
                assert!(ready["probes_address"].is_string());
                let port = address.rsplit(':').next().unwrap();
                serving.endpoint = format!("https://localhost:{port}");
                return serving;
            }
            thread::sleep(LOOK_EVERY);
        }
        panic!("the service is not ready: {}", self.read("serve.log"));
    }
}

/// A running service, ended with the value.
pub(crate) struct Serving<'a> {
    site: &'a Site,
    child: Child,
    pub(crate) endpoint: String,
}

impl Serving<'_> {
    /// The connection flags of a caller.
    pub(crate) fn flags(&self, caller: &str) -> String {
        let on_behalf = match caller {
            "hub" => {
                " --on-behalf-of 14099999990 --under-agreement agreements/agency/agencies/14099999990"
            }
            _ => "",
        };
        format!(
            "--endpoint {} --ca pki/ca.pem --cert {caller}.pem --key {caller}.key{on_behalf}",
            self.endpoint
        )
    }

    /// Runs a command as a caller.
    pub(crate) fn run(&self, caller: &str, line: &str) -> Ran {
        self.site.run(&format!("{line} {}", self.flags(caller)))
    }

    /// Asks the service to stop and returns its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        // The child is not waited for yet, so its id is still its own. `kill` is part of every shell.
        let sent = Command::new("sh")
            .args(["-c", "kill -s TERM \"$0\"", &id])
            .status()
            .unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The Jalali date of today, on which the seed's term and tariffs depend.
pub(crate) fn today() -> JalaliDate {
    JalaliDate::of(SystemClock.now())
}

fn config() -> String {
    format!(
        r#"
[listen]
address = "127.0.0.1:0"
probes_address = "127.0.0.1:0"
[tls]
certificate_file = "server.pem"
key_file = "server.key"
client_ca_file = "pki/ca.pem"
crl_files = ["pki/crl.pem"]
trust_domain = "{TRUST_DOMAIN}"
[store]
engine = "sqlite"
path = "gavah.sqlite"
[signing]
key_file = "signing.key"
[audit]
subject_hash_key_file = "subject.key"
"#
    )
}

/// One long term around today, both services, free tariffs for this year and the next.
fn seed() -> String {
    let today = today();
    let (start, end) = (today.plus_days(-60), today.plus_days(60));
    let year = start.year();
    let rules = "[workflow.rules]\nauto_confirm = true\nfreshness_hours = 24\nrequire_prior_qualification = true\n\
                 certificate_extra_days = 30\ncertificate_max_months = 6\norganization_review = false\n\
                 payment_position = \"BEFORE_ISSUE\"\n";
    let mut seed = format!(
        "[[term]]\nacademic_year = {year}\nkind = \"FIRST\"\nstart = \"{start}\"\nend = \"{end}\"\n"
    );
    for (service, kinds, consumer) in [
        (
            "VALIDITY_CODE",
            "document_kinds = [\"DEGREE\"]\n",
            "institutions/90001",
        ),
        ("ENROLLMENT_CERTIFICATE", "", "callers/window"),
    ] {
        seed.push_str(&format!(
            "[[workflow]]\nid = \"w-{service}\"\nservice = \"{service}\"\n{rules}\
             [[call]]\nid = \"c-{service}\"\nservice = \"{service}\"\nstate = \"OPEN\"\nopens = \"{start}\"\n\
             eligible_types = [\"STATE\"]\n{kinds}workflow = \"w-{service}\"\nrun_off_days = 30\n\
             [[agreement]]\nid = \"a-{service}\"\ncall = \"c-{service}\"\nstate = \"ACTIVE\"\n\
             consumers = [\"{consumer}\"]\n"
        ));
    }
    for (id, consumer, through) in [
        ("hub", "callers/hub", ""),
        ("agency", "agencies/14099999990", "through = \"hub\"\n"),
    ] {
        seed.push_str(&format!(
            "[[agreement]]\nid = \"{id}\"\ncall = \"c-VALIDITY_CODE\"\nstate = \"ACTIVE\"\n{through}\
             consumers = [\"{consumer}\"]\npurposes = [\"VALIDATE\", \"MATCH\", \"INQUIRE\"]\n\
             fields = [\"DOCUMENT\", \"INSTITUTION\", \"PROGRAM\", \"NAME\", \"ENROLLMENT\"]\n"
        ));
    }
    seed.push_str(include_str!("../../../../deploy/agreement-texts.toml"));
    for year in [today.year(), today.year() + 1] {
        seed.push_str(&format!(
            "[[tariff]]\nyear = {year}\nlegal_reference = \"synthetic\"\n"
        ));
    }
    seed
}

/// The academic year of the seed's one term.
pub(crate) fn academic_year() -> i32 {
    today().plus_days(-60).year()
}
