use std::path::Path;

use matrix_sdk::ruma::user_id;

use super::*;

const GOOD: &str = "
homeserver: { url: 'http://127.0.0.1:8008/', server_name: hs.test }
livekit: { url: 'ws://127.0.0.1:7880', api_key: devkey, secret: 0123456789abcdef0123456789abcdef }
numbers: { +15550100: '!room:hs.test', '+44 20 7946 0123': '#sales:hs.test' }
";

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::parse(Path::new("roomtone.yaml"), text, environment.iter().map(|(k, v)| ((*k).into(), (*v).into())))
}

#[test]
fn a_short_file_gets_working_defaults() {
    let c = parse(GOOD, &[]).unwrap();
    assert_eq!(c.homeserver.url, "http://127.0.0.1:8008");
    assert_eq!(c.livekit.api(), "http://127.0.0.1:7880");
    assert_eq!(c.livekit_service_url(), "http://127.0.0.1:9080/livekit/jwt");
    assert_eq!(c.numbers.keys().map(|d| d.0.reveal()).collect::<Vec<_>>(), ["+15550100", "+442079460123"]);
    assert!(c.permissions.may_use(user_id!("@a:hs.test")));
    assert!(!c.permissions.may_use(user_id!("@a:elsewhere.test")));
    assert_eq!(c.operator_key_path(), Path::new("roomtone-data/operator.key"));
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let e = parse(&format!("{GOOD}\nsip:\n  listn: 127.0.0.1:5060\n"), &[]).unwrap_err().to_string();
    assert!(e.contains("listn") && e.contains("sip") && e.contains("line 7"), "{e}");
    let e = parse(&format!("{GOOD}\nsip:\n  rtp_ports: 9-3\n"), &[]).unwrap_err().to_string();
    assert!(e.contains("20000-20199") && e.contains("line"), "{e}");
}

#[test]
fn a_missing_or_untouched_key_is_named() {
    for (text, want) in [
        ("", "homeserver.url: is not set"),
        ("homeserver: { url: 'http://a', server_name: example.org }", "still that of the example"),
        ("homeserver: { url: 'http://a', server_name: hs.test }", "livekit.url: is not set"),
        ("homeserver: { url: 'ftp://a', server_name: hs.test }", "homeserver.url"),
    ] {
        let e = parse(text, &[]).unwrap_err().to_string();
        assert!(e.contains(want), "{e}");
    }
    let e = parse(&format!("{GOOD}\nnotes: {{ time_zone: Mars/Base }}"), &[]).unwrap_err().to_string();
    assert!(e.contains("notes.time_zone") && e.contains("Mars/Base"), "{e}");
    let e = parse(&format!("{GOOD}\nsip: {{ max_calls: 500 }}"), &[]).unwrap_err().to_string();
    assert!(e.contains("sip.rtp_ports") && e.contains("500"), "{e}");
}

#[test]
fn what_hears_and_what_writes_is_checked_by_key() {
    for (extra, want) in [
        ("transcription: { backend: http }", "transcription.http.url: is not set"),
        ("transcription: { backend: http, http: { url: 'http://a/v1' } }", "transcription.http.model: is not set"),
        ("transcription: { http: { url: 'http://a/v1', model: w } }", "transcription.http: is set, but"),
        ("transcription: { language: german }", "transcription.language"),
        ("transcription: { language: zz }", "transcription.language"),
        ("notes: { writer: llm }", "notes.llm.url: is not set"),
        ("notes: { llm: { url: 'ftp://a', model: q } }", "notes.llm.url"),
        ("notes: { llm: { url: 'http://a/v1' } }", "notes.llm.model"),
        ("notes: { writer: gpt }", "notes.writer"),
    ] {
        let e = parse(&format!("{GOOD}\n{extra}"), &[]).unwrap_err().to_string();
        assert!(e.contains(want), "{extra}: {e}");
    }
}

#[test]
fn the_model_follows_the_language() {
    let model = |extra: &str| parse(&format!("{GOOD}\n{extra}"), &[]).unwrap().transcription.recogniser();
    assert_eq!(model(""), "whisper base");
    assert_eq!(model("transcription: { language: en }"), "whisper base.en");
    assert_eq!(model("transcription: { language: de }"), "whisper base");
    assert_eq!(model("transcription: { language: de, model: small }"), "whisper small");
    assert_eq!(model("transcription: { backend: http, http: { url: 'http://a/v1', model: w } }"), "http w");
}

#[test]
fn who_else_sees_the_words_is_known() {
    let seen = |extra: &str| parse(&format!("{GOOD}\n{extra}"), &[]).unwrap().seen_by().into_iter().collect::<Vec<_>>();
    assert!(seen("").is_empty());
    for here in ["127.0.0.1:8000", "[::1]:8000", "localhost"] {
        assert!(seen(&format!("notes: {{ llm: {{ url: 'http://{here}/v1', model: q }} }}")).is_empty(), "{here}");
    }
    let llm = "notes: { llm: { url: 'https://LLM.example/v1', model: q } }";
    assert_eq!(seen(llm), ["llm.example"]);
    assert!(seen(&llm.replace("notes: {", "notes: { writer: extractive,")).is_empty(), "it is never asked");
    let both = format!("{llm}\ntranscription: {{ backend: http, http: {{ url: 'http://10.0.0.7/v1', model: w }} }}");
    assert_eq!(seen(&both), ["10.0.0.7", "llm.example"]);
}

#[test]
fn the_environment_wins_over_the_file_and_reads_secrets_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, "from the file\n").unwrap();
    let text = GOOD.replace(", secret: 0123456789abcdef0123456789abcdef", "");
    let c = parse(
        &text,
        &[
            ("ROOMTONE_SIP__MAX_CALLS", "7"),
            ("ROOMTONE_SIP__LISTEN", "127.0.0.1:5070"),
            ("ROOMTONE_LIVEKIT__SECRET_FILE", file.to_str().unwrap()),
            ("ROOMTONE_LIVEKIT__API_KEY_FILE", file.to_str().unwrap()),
            ("ROOMTONE_DATA_DIR", "/somewhere"),
            ("ROOMTONE_APPSERVICE__TRUSTED_PROXIES", "[10.0.0.1]"),
            ("ROOMTONE_APPSERVICE__BOT_DISPLAY_NAME", "007"),
            ("ROOMTONE_NOTES__LLM__URL", "http://127.0.0.1:1/v1"),
            ("ROOMTONE_NOTES__LLM__MODEL", "q"),
            ("ROOMTONE_NOTES__LLM__API_KEY_FILE", file.to_str().unwrap()),
            ("ROOMTONE_METRICS__BIND", "127.0.0.1:9090"),
            ("ROOMTONE_SYNAPSE_VENV", "not ours"),
        ],
    );
    // The file's own `api_key` is overridden by the variable's file.
    let c = c.unwrap();
    assert_eq!((c.sip.max_calls, c.sip.listen.port(), c.data_dir.to_str().unwrap()), (7, 5070, "/somewhere"));
    assert_eq!(c.livekit.api_key, "from the file");
    let key = c.notes.llm.as_ref().unwrap().read_key().unwrap().unwrap();
    assert_eq!(secrecy::ExposeSecret::expose_secret(&key), "from the file");
    assert_eq!(c.metrics.bind.unwrap().port(), 9090);
    assert_eq!((c.appservice.trusted_proxies.len(), c.appservice.bot_display_name.as_str()), (1, "007"));
    assert_eq!(secrecy::ExposeSecret::expose_secret(&c.livekit.read_secret().unwrap()), "from the file");
    let e = parse(GOOD, &[("ROOMTONE_SIP__MAX_CALLS", "many")]).unwrap_err().to_string();
    assert!(e.contains("ROOMTONE_SIP__MAX_CALLS") && e.contains("many"), "{e}");
    let e = parse(GOOD, &[("ROOMTONE_SIP__MAX_CALL", "7")]).unwrap_err().to_string();
    assert!(e.contains("ROOMTONE_SIP__MAX_CALL:") && e.contains("unknown field"), "{e}");
}

#[test]
fn the_most_specific_permission_counts() {
    let p: Permissions = serde_yaml_ng::from_str("{ '*': user, bad.test: block, '@root:bad.test': admin }").unwrap();
    assert_eq!(p.of(user_id!("@root:bad.test")), Some(Level::Admin));
    assert_eq!(p.of(user_id!("@other:bad.test")), Some(Level::Block));
    assert!(!p.may_use(user_id!("@other:bad.test")));
    assert!(p.may_use(user_id!("@any:else.test")));
}

#[test]
fn the_example_file_is_complete_and_refused_untouched() {
    let text = include_str!("../../../docs/roomtone.example.yaml");
    let e = parse(text, &[]).unwrap_err().to_string();
    assert!(e.contains("still that of the example"), "{e}");
    let touched = text.replace("example.org", "own.test");
    parse(&touched, &[]).unwrap();
    // What stands commented out is valid too.
    let all: String =
        touched.lines().map(|l| l.strip_prefix("#=").map_or_else(|| l.to_owned(), str::to_owned) + "\n").collect();
    parse(&all, &[]).unwrap_or_else(|e| panic!("{e}\n{all}"));
}

#[test]
fn an_operator_key_is_made_once_and_a_changed_one_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("operator.key");
    let first = OperatorKey::load_or_create(&path, dir.path()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = OperatorKey::load_or_create(&path, dir.path()).unwrap();
    assert_eq!(first.derive::<32>("a"), again.derive::<32>("a"));
    assert_ne!(first.derive::<32>("a"), first.derive::<32>("b"));
    assert_eq!(format!("{first:?}"), "OperatorKey");
    std::fs::write(&path, [1; 32]).unwrap();
    assert!(matches!(OperatorKey::load_or_create(&path, dir.path()), Err(OperatorKeyError::Changed { .. })));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(OperatorKey::load_or_create(&path, dir.path()), Err(OperatorKeyError::Io { .. })));
    std::fs::write(&path, b"short").unwrap();
    assert!(matches!(OperatorKey::load_or_create(&path, dir.path()), Err(OperatorKeyError::Length { length: 5, .. })));
}
