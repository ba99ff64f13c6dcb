//! Commands that need no running service.

use std::fs;

use crate::site::Site;

#[test]
fn a_wrong_command_line_is_told_in_the_form_asked_for() {
    let site = Site::empty();
    let problems =
        site.run("caller register --config x --id a --class KING --display-name b --fingerprint c");
    let problem = problems.refused(2).join("\n");
    assert!(
        problem.contains("KING") && problem.contains("SINGLE_WINDOW"),
        "{problem}"
    );

    let plain = site.run_plainly("code issue");
    assert_eq!((plain.code, plain.stdout.as_str()), (Some(2), ""));
    assert!(plain.stderr.contains("--given-name-fa"), "{}", plain.stderr);

    let help = site.run_plainly("--help");
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("Exit codes:"), "{}", help.stdout);
}

#[test]
fn every_problem_of_a_configuration_is_listed_with_its_place() {
    let site = Site::empty();
    site.write(
        "gavah.toml",
        "[listen]\naddress = \"here\"\n[tls]\ncolour = \"red\"\n[store]\nengine = \"sqlite\"\npath = \"a.sqlite\"\n",
    );
    for command in [
        "serve",
        "migrate",
        "check-config",
        "caller list",
        "audit verify",
    ] {
        let problems = site
            .run(&format!("{command} --config gavah.toml"))
            .refused(2);
        for part in [
            "gavah.toml:2: listen.address: ",
            "gavah.toml:4: tls.colour: ",
            "tls.certificate_file: missing",
            "signing.key_file: missing",
            "audit.subject_hash_key_file: missing",
        ] {
            assert!(
                problems.iter().any(|problem| problem.contains(part)),
                "{part}: {problems:?}"
            );
        }
    }
    let missing = site.run("serve --config nowhere.toml").refused(2);
    assert!(missing[0].contains("nowhere.toml"), "{missing:?}");
}

#[test]
fn a_store_without_schema_is_refused_with_what_to_do() {
    let site = Site::configured();
    for command in ["serve", "caller list", "audit verify", "check-config"] {
        let problem = site
            .run(&format!("{command} --config gavah.toml"))
            .refused(2)
            .join("\n");
        assert!(problem.contains("gavah migrate"), "{command}: {problem}");
    }
    assert!(
        !site.path("gavah.sqlite").exists(),
        "nothing is made by looking"
    );
}

#[test]
fn check_config_looks_into_every_file_it_names() {
    let site = Site::registered();
    let checked = site.run("check-config --config gavah.toml").ended(0);
    assert_eq!(
        (checked["ok"].as_bool(), checked["callers"].as_u64()),
        (Some(true), Some(1))
    );

    site.write("server.pem", "not a certificate");
    fs::copy(site.path("subject.key"), site.path("signing.key")).unwrap();
    let problems = site.run("check-config --config gavah.toml").refused(2);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].starts_with("tls: ") && problems[1].starts_with("signing key: "),
        "{problems:?}"
    );
}

#[test]
fn migrating_again_changes_nothing() {
    let site = Site::configured();
    let ran = site.run("migrate --config gavah.toml").ended(0)["migrations_run"].clone();
    assert!(ran.as_u64() > Some(0), "{ran}");
    assert_eq!(
        site.run("migrate --config gavah.toml").ended(0)["migrations_run"],
        0
    );
    let role = site
        .run("migrate --config gavah.toml --runtime-role gavah")
        .refused(2);
    assert!(role[0].contains("PostgreSQL"), "{role:?}");
}

#[test]
fn keys_are_never_overwritten() {
    let site = Site::empty();
    let line = "keys init --signing signing.key --subject-hash subject.key";
    let made = site.run(line).ended(0);
    assert_eq!(made["signing_key_id"].as_str().unwrap().len(), 32);
    let before = site.read("signing.key");
    assert_eq!(site.run(line).refused(2).len(), 2, "both files are named");
    fs::remove_file(site.path("subject.key")).unwrap();
    assert_eq!(site.run(line).refused(2).len(), 1);
    assert_eq!(site.read("signing.key"), before);
    assert!(
        !site.path("subject.key").exists(),
        "half a pair is not made"
    );
}

#[test]
fn the_development_pki_says_what_it_is() {
    let site = Site::empty();
    let made = site.run("pki init pki").ended(0);
    assert!(
        made["warning"]
            .as_str()
            .unwrap()
            .contains("never use it in production")
    );
    let plain = site.run_plainly("pki issue pki --server localhost --out server");
    assert_eq!(plain.code, Some(0));
    assert!(
        plain.stderr.contains("never use it in production"),
        "{}",
        plain.stderr
    );

    assert!(site.run("pki init pki").refused(1)[0].contains("already exists"));
    assert!(site.run("pki revoke pki 00ff").refused(1)[0].contains("not issued"));
    site.run("pki issue pki --caller a --out a").refused(2);
    site.run("pki issue pki --out a").refused(2);
    let issued = site
        .run("pki issue pki --caller a --trust-domain b.example --out a")
        .ended(0);
    let serial = issued["serial"].as_str().unwrap();
    let before = site.read("pki/crl.pem");
    site.run(&format!("pki revoke pki {serial}")).ended(0);
    assert_ne!(site.read("pki/crl.pem"), before);
}

#[test]
fn a_caller_is_registered_once_and_under_its_own_name() {
    let site = Site::registered();
    let register = |rest: &str| site.run(&format!("caller register --config gavah.toml {rest}"));

    let again = register(
        "--id organization --class ORGANIZATION --display-name b --certificate organization.pem",
    );
    assert!(again.refused(1)[0].contains("caller organization is registered already"));
    let taken = site.run("caller list --config gavah.toml").ended(0);
    let fingerprint = taken["callers"][0]["active_fingerprints"][0]
        .as_str()
        .unwrap()
        .to_owned();
    let other = register(&format!(
        "--id auditor --class auditor --display-name b --fingerprint {fingerprint}"
    ));
    assert!(other.refused(1)[0].contains("for another caller"));

    let wrong =
        register("--id Auditor --class AUDITOR --institution 1 --display-name b --fingerprint 00")
            .refused(2);
    let flags: Vec<_> = wrong
        .iter()
        .filter_map(|problem| problem.split(':').next())
        .collect();
    assert_eq!(flags, ["--id", "--institution", "--fingerprint"]);
    let name =
        register("--id auditor --class AUDITOR --display-name b --certificate organization.pem")
            .refused(2);
    assert!(
        name[0].contains("it must name exactly spiffe://"),
        "{name:?}"
    );
    let unknown = register(
        "--id university --class UNIVERSITY --institution 90001 --display-name b --fingerprint \
         0000000000000000000000000000000000000000000000000000000000000000",
    );
    assert!(unknown.refused(1)[0].contains("institution 90001 is not registered"));

    let listed = site.run("caller list --config gavah.toml").ended(0);
    assert_eq!(
        listed["callers"].as_array().unwrap().len(),
        1,
        "no refusal left a trace: {listed}"
    );
    let audit = site.run("audit verify --config gavah.toml").ended(0);
    assert_eq!(
        audit["pending"], 4,
        "the seed, its two tariff tables and the registration: {audit}"
    );
}

#[test]
fn every_wrong_entry_of_a_seed_is_named_and_nothing_is_loaded() {
    let site = Site::registered();
    let good = site.read("seed.toml");
    site.write(
        "bad.toml",
        &good
            .replace("OPEN", "AJAR")
            .replace("\"STATE\"", "\"STATES\""),
    );
    let problems = site.run("seed --config gavah.toml bad.toml").refused(2);
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(problems[0].contains("call[0].state"), "{problems:?}");
    site.write("bad.toml", "[[term]]\nyear = 1\n");
    site.run("seed --config gavah.toml bad.toml").refused(2);
    site.write(
        "bad.toml",
        &good.replace("workflow = \"w-", "workflow = \"x-"),
    );
    let unknown = site.run("seed --config gavah.toml bad.toml").refused(2);
    assert!(unknown[0].contains("call[0].workflow"), "{unknown:?}");
    assert_eq!(
        site.run("audit verify --config gavah.toml").ended(0)["pending"],
        4
    );
    site.run("seed --config gavah.toml seed.toml").ended(0);
    assert_eq!(
        site.run("audit verify --config gavah.toml").ended(0)["pending"],
        5
    );
}

#[test]
fn every_wrong_line_of_a_tariff_is_named_and_nothing_is_loaded() {
    let site = Site::registered();
    let load = "tariff load --config gavah.toml 1398 rows.csv --legal-reference law";
    site.write(
        "rows.csv",
        "service,request_type,institution_type,from_date,amount,unit,legal_reference\n\
         VALIDITY_CODE,,,,500000,IRR_CURRENT,row 1\n\
         VALIDITY_CODES,,,1397/01/01,-1,TOMAN,\n\
         VALIDITY_CODE,DUPLICATE,PRIVATE,,many,IRR_NEW,row 3\n\
         VALIDITY_CODE,,,\n\
         VALIDITY_CODE,,,,7,IRR_CURRENT,row 5\n",
    );
    let problems = site.run(load).refused(2);
    let expected = [
        "rows.csv:3: service must be",
        "rows.csv:3: from_date must be",
        "rows.csv:3: amount must be",
        "rows.csv:3: unit must be",
        "rows.csv:3: legal_reference must be",
        "rows.csv:4: request_type is no",
        "rows.csv:4: institution_type is no",
        "rows.csv:4: amount must be",
        "rows.csv:5: has other cells",
        "rows.csv:6: is for the same as line 2",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.contains(expected), "{expected}: {problem}");
    }
    site.write("rows.csv", "service,price,amount,amount\n");
    let problems = site.run(load).refused(2).join("\n");
    for part in [
        "column 2 is called \"price\"",
        "column amount stands there twice",
        "column unit is missing",
        "column legal_reference is missing",
    ] {
        assert!(problems.contains(part), "{part}: {problems}");
    }
}

#[test]
fn a_tariff_is_published_once_and_corrected_by_number() {
    let site = Site::registered();
    let load = "tariff load --config gavah.toml 1398 rows.csv --legal-reference law";
    let rows =
        "\u{feff}service,amount,unit,legal_reference\nVALIDITY_CODE,500000,IRR_CURRENT,row 1\n";
    site.write("rows.csv", rows);
    let first = site.run(load).ended(0);
    assert_eq!(first["name"], "tariffs/1398/versions/1");
    assert_eq!(
        (&first["published"], &first["rows"]),
        (&true.into(), &1.into())
    );
    let again = site.run(load).ended(0);
    assert_eq!(again["published"], false, "the same content is no news");

    site.write("rows.csv", &rows.replace("500000", "600000"));
    let refused = site.run(load).refused(2).join("\n");
    assert!(
        refused.contains("never changes") && refused.contains("supersedes 1"),
        "{refused}"
    );
    let refused = site.run(&format!("{load} --supersedes 2")).refused(2);
    assert!(refused[0].contains("must supersede 1"), "{refused:?}");
    let second = site.run(&format!("{load} --supersedes 1")).ended(0);
    assert_eq!(second["name"], "tariffs/1398/versions/2");

    // A seed is held to the same.
    let seed = site.read("seed.toml");
    site.write(
        "other.toml",
        &seed.replace("\"synthetic\"", "\"another law\""),
    );
    let refused = site.run("seed --config gavah.toml other.toml").refused(2);
    assert!(
        refused[0].contains("is published with other content"),
        "{refused:?}"
    );
    site.run("seed --config gavah.toml seed.toml").ended(0);
}
