//! The rows on which readers of netrc agree are read as all of them read them, and the others as curl and Nix do, with
//! a word from the doctor.

#![expect(clippy::expect_used, reason = "tests")]

#[path = "support/rows.rs"]
mod rows;

use cachegate_client::{Netrc, Problem};
use rows::{AGREED, PASSWORDS};

/// `None`: nothing for the host.
fn read(text: &str) -> Option<(String, String)> {
    let login = Netrc::parse(text.as_bytes()).login("h").expect("a file that parses")?;
    Some((login.login().to_owned(), login.password().expose_secret().to_owned()))
}

fn codes(text: &[u8]) -> Vec<&'static str> {
    Netrc::parse(text).findings().iter().map(|finding| finding.problem().code()).collect()
}

#[test]
fn what_every_reader_reads_is_read_without_a_finding() {
    let long = format!("{}machine h login l password p\n", "# filler\n".repeat(35_000));
    for text in AGREED.iter().copied().chain([&*long]) {
        assert_eq!(read(text), Some(("l".into(), "p".into())), "{text:.200}");
        assert_eq!(codes(text.as_bytes()), Vec::<&str>::new(), "{text:.200}");
    }
    for password in PASSWORDS.iter().copied() {
        let text = format!("machine h login l password {password}\n");
        assert_eq!(read(&text), Some(("l".into(), password.into())), "{text}");
        assert_eq!(codes(text.as_bytes()), Vec::<&str>::new(), "{text}");
    }
}

#[test]
fn where_readers_differ_curl_is_followed_and_the_doctor_speaks() {
    for (text, answer, found) in [
        ("machine h password p\n", Some(("", "p")), &[][..]),
        ("machine h password p\nmachine a login x password y\n", Some(("", "p")), &["password_only"]),
        ("machine h password p\ndefault login d password e\n", Some(("", "p")), &["password_only"]),
        ("machine h login l\n", Some(("l", "")), &["no_password"]),
        ("machine h login \"\" password p\n", Some(("", "p")), &["quoted"]),
        ("machine h login l password \"p\"\n", Some(("l", "p")), &["quoted"]),
        ("machine h login l password \"p q\\\"\\\\\"\n", Some(("l", "p q\"\\")), &["quoted"]),
        ("machine h login l password \"p\\nq\\tr\\rs\"\n", Some(("l", "p\nq\tr\rs")), &["quoted"]),
        ("machine \"h\" login l password p\n", Some(("l", "p")), &["quoted"]),
        ("machine h login l password a\\b\n", Some(("l", "a\\b")), &["backslash"]),
        ("machine h login l password #p\n", Some(("l", "#p")), &["leading_hash"]),
        ("#comment\nmachine h login l password p\n", Some(("l", "p")), &["tight_comment"]),
        ("machine h login l password p # login x password y\n", Some(("l", "p")), &["trailing_comment"]),
        (
            "default login d password e\nmachine h login l password p\n",
            Some(("d", "e")),
            &["default_before_machine"],
        ),
        (
            "machine h login l password p\nmachine h login x password y\n",
            Some(("l", "p")),
            &["duplicate_host"],
        ),
        (
            "machine h login l\nmachine h login x password y\n",
            Some(("l", "")),
            &["no_password", "duplicate_host"],
        ),
        (
            "machine h password p\nmachine H login x password y\n",
            Some(("", "p")),
            &["password_only", "duplicate_host"],
        ),
        ("machine h login a login l password x password p\n", Some(("l", "p")), &["repeated_word"]),
        ("machine h login l\n# c\npassword p\n", Some(("l", "p")), &["inner_comment"]),
        ("machine h login\n# c\nl password p\n# d\n", Some(("l", "p")), &["inner_comment"]),
        ("\n# c\nmachine h login l password p\n", Some(("l", "p")), &["loose_comment"]),
        ("machine h login l password p\n\n# c\n", Some(("l", "p")), &["loose_comment"]),
        ("machine h login l password p \n# c\n", Some(("l", "p")), &["loose_comment"]),
        ("machine h login l password p\n# c\n\n# d\n", Some(("l", "p")), &["loose_comment"]),
        ("macdef x\n\n# c\nmachine h login l password p\n\n#\n", Some(("l", "p")), &[]),
        ("machine h:80 login l password p\n", None, &["unmatchable_host"]),
        ("machine http://h login l password p\n", None, &["unmatchable_host"]),
        ("machine h. login l password p\n", None, &["unmatchable_host"]),
        ("macdef init\nmachine h login l password p\n", None, &["unended_macro"]),
        ("macdef init\nx\n \t\nmachine h login l password p\n", Some(("l", "p")), &["unended_macro"]),
        ("machine h unknown login l password p\n", Some(("l", "p")), &["unknown_word"]),
        ("unknown\nmachine h login l password p\n", Some(("l", "p")), &["unknown_word"]),
        ("login x password y\nmachine h login l password p\n", Some(("l", "p")), &["stray_word"]),
        ("MACHINE h LOGIN l Password p\n", Some(("l", "p")), &["upper_case"]),
        ("machine h login machine password login\n", Some(("machine", "login")), &["keyword_as_value"]),
        ("machine h login l:m password p\n", Some(("l:m", "p")), &["colon_in_login"]),
        ("machine h login l password pä\n", Some(("l", "pä")), &["not_ascii"]),
        ("machine h login l password p\x01\n", Some(("l", "p\x01")), &["control_character"]),
        ("\u{feff}machine h login l password p\n", None, &["byte_order_mark", "unknown_word", "stray_word"]),
    ] {
        let answer = answer.map(|(login, password)| (login.to_owned(), password.to_owned()));
        assert_eq!(read(text), answer, "{text}");
        assert_eq!(codes(text.as_bytes()), found, "{text}");
    }
}

#[test]
fn a_file_that_does_not_parse_is_read_for_nobody_and_its_line_is_named() {
    for (text, line, code) in [
        ("machine a login x password y\nmachine h login l password \"p\n", 2, "unterminated_quote"),
        ("machine h login l password \"p\nq\"\n", 1, "unterminated_quote"),
        ("machine h login l password \"p\\\"\n", 1, "unterminated_quote"),
        ("machine h login l password \"p\\", 1, "unterminated_quote"),
        ("machine h login l password\n", 1, "missing_value"),
        ("machine h login l\npassword\nmachine a login x password y\n", 2, "missing_value"),
        ("machine", 1, "missing_value"),
        ("\n\nmacdef", 3, "missing_value"),
    ] {
        let netrc = Netrc::parse(text.as_bytes());
        for host in ["h", "a"] {
            let error = netrc.login(host).expect_err(text);
            assert_eq!(
                (error.finding().line(), error.finding().problem().code()),
                (Some(line), code),
                "{text}"
            );
            assert!(error.to_string().contains(&format!("line {line}: ")), "{error}");
        }
    }
}

#[test]
fn a_line_that_older_readers_drop_is_found() {
    let line = |length: usize| format!("machine h login l password {}\n", "p".repeat(length - 28));
    assert_eq!(line(4_095).len(), 4_095);
    assert_eq!(codes(line(4_095).as_bytes()), Vec::<&str>::new());
    let netrc = Netrc::parse(line(4_096).as_bytes()).findings().to_vec();
    assert_eq!(netrc.first().map(|finding| finding.problem()), Some(&Problem::LongLine { length: 4_096 }));
}

#[test]
fn a_password_that_is_no_text_is_an_error_and_not_another_password() {
    let netrc = Netrc::parse(b"machine h login l password \xff\xfe\n");
    assert_eq!(netrc.login("h").expect_err("bytes").finding().problem(), &Problem::NotAscii);
    assert!(netrc.login("other").expect("parses").is_none());
}

#[test]
fn nothing_shows_a_password() {
    let text = b"canary machine h login l password canary # canary\nmachine h login l password \"canary\n";
    let netrc = Netrc::parse(text);
    let mut shown = format!("{netrc:?} {netrc:#?} {:?}", netrc.login("h"));
    for finding in netrc.findings() {
        shown += &format!("{finding} {finding:?}");
    }
    shown += &netrc.login("h").expect_err("does not parse").to_string();
    let login = Netrc::parse(b"machine h login l password canary").login("h");
    shown += &format!("{login:?} {login:#?}");
    assert!(!shown.contains("canary"), "{shown}");
}
