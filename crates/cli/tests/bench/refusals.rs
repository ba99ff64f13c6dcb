//! Loads that are not begun.

use crate::program::bench;

#[test]
fn a_load_of_nothing_or_without_end_is_refused_before_anything_starts() {
    for (flags, word) in [
        ("--rate 0", "the rate"),
        ("--rate=-5", "the rate"),
        ("--rate NaN", "the rate"),
        ("--rate inf", "the rate"),
        ("--sweep 100,0", "the rate"),
        ("--in-flight 0", "in flight"),
        ("--in-flight 100000000", "in flight"),
        ("--rounds 0", "rounds"),
        ("--seconds 0", "seconds"),
        ("--seconds 1e9", "seconds"),
        ("--seconds=-1", "seconds"),
        ("--warm-up 1e9", "warm-up"),
        ("--max-calls 0", "calls"),
        ("--max-calls 18446744073709551615", "calls"),
        ("--connections 0", "connections"),
        ("--codes 0", "--codes"),
    ] {
        let refused = bench(&format!("run validate-hot {flags}"));
        assert_eq!(refused.code, Some(2), "{flags}: {}", refused.json);
        let text = refused.json.to_string();
        assert!(text.contains(word), "{flags}: {text}");
    }
}

#[test]
fn only_servers_on_this_machine_are_loaded_unless_told_otherwise() {
    let files = "--ca none.pem --certificate none.pem --key none.key --code 12345678901234567888";
    for endpoint in [
        "https://gavah.example:7443",
        "https://10.1.2.3:7443",
        "https://localhost.example:7443",
    ] {
        let refused = bench(&format!("run validate-hot --endpoint {endpoint} {files}"));
        assert_eq!(refused.code, Some(2));
        assert!(
            refused.json.to_string().contains("--allow-remote"),
            "{}",
            refused.json
        );
    }
    // Told otherwise it goes on, here until it misses the files.
    let allowed = bench(&format!(
        "run validate-hot --endpoint https://gavah.example:7443 --allow-remote {files}"
    ));
    assert_eq!(allowed.code, Some(2));
    assert!(
        allowed.json.to_string().contains("none.pem"),
        "{}",
        allowed.json
    );
}

#[test]
fn what_a_running_server_cannot_be_asked_is_refused() {
    let server = "--endpoint https://localhost:1 --ca a --certificate b --key c";
    for (scenario, word) in [
        ("echo-stock", "already"),
        ("validate-hot", "--code"),
        ("issue", "--expert"),
        ("", "by name"),
    ] {
        let refused = bench(&format!("run {scenario} {server}"));
        assert_eq!(refused.code, Some(2), "{}", refused.json);
        assert!(refused.json.to_string().contains(word), "{}", refused.json);
    }
}
