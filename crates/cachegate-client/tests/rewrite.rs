//! Rewriting a netrc file changes the entries of one host and not a byte else.

#![expect(clippy::expect_used, reason = "tests")]

use cachegate_client::{Host, Netrc, NetrcEditError, Replace};
use cachegate_token::Brand;
use cachegate_types::SecretText;
use proptest::prelude::*;
use proptest::sample::select;

const TOKEN: &str = "cg1_aaaa.bbbb.cccc-dd_ee";

fn host() -> Host {
    "cache.example.org".parse().expect("a host")
}

fn set(text: &str, replace: Replace) -> Result<String, NetrcEditError> {
    set_token(text, TOKEN, replace)
}

fn set_token(text: &str, token: &str, replace: Replace) -> Result<String, NetrcEditError> {
    let token = SecretText::new(token.to_owned());
    let text = Netrc::parse(text.as_bytes()).with_token(&host(), &token, replace, &Brand::default())?;
    Ok(String::from_utf8(text.to_vec()).expect("text"))
}

fn without(text: &str) -> (String, usize) {
    let (text, count) =
        Netrc::parse(text.as_bytes()).without(&host(), &Brand::default()).expect("a file that parses");
    (String::from_utf8(text.to_vec()).expect("text"), count)
}

fn line() -> String {
    format!("machine cache.example.org login cachegate password {TOKEN}\n")
}

#[test]
fn a_new_host_takes_the_first_line() {
    for old in ["", "\n", "# mine\nmachine a login b password c", "default login d password e\n"] {
        assert_eq!(set(old, Replace::Own), Ok(line() + old));
    }
}

#[test]
fn an_entry_that_all_readers_agree_on_keeps_its_place_and_form() {
    for (before, after) in [
        ("machine a login b password c\nmachine cache.example.org login cachegate password ", "\n# end\n"),
        ("machine cache.example.org\r\n\tlogin cachegate\r\n\taccount x\r\n\tpassword ", "\r\n\r\n"),
        ("machine cache.example.org password ", " login cachegate machine b login c password d"),
    ] {
        assert_eq!(
            set(&format!("{before}cg1_old{after}"), Replace::Own),
            Ok(format!("{before}{TOKEN}{after}"))
        );
    }
}

#[test]
fn an_entry_that_some_reader_would_miss_or_misread_moves_to_the_first_line() {
    let own = "machine cache.example.org login cachegate password cg1_old";
    for (before, entry, after) in [
        ("default login d password e\n", own, "\n"),
        ("machine a login b password machine\n", own, "\n"),
        ("macdef x\nbody\n \n", own, "\n"),
        ("# one\n", "machine cache.example.org password cg1_old", "\n"),
        ("# one\n", "machine cache.example.org login cachegate", "\n"),
        ("# one\n", "MACHINE cache.example.org login cachegate password cg1_old", "\n"),
        ("# one\n", "machine Cache.Example.Org login cachegate password cg1_old", "\n"),
        ("# one\n", "machine \"cache.example.org\" login cachegate password cg1_old", "\n"),
        ("# one\n", "machine cache.example.org login cachegate password \"cg1 old\"", "\n"),
        ("# one\n", "machine cache.example.org login x login cachegate password cg1_old", "\n"),
    ] {
        let after = format!("{after}# two\n");
        // The entry stood alone on its line, which goes with it.
        let rest = after.strip_prefix('\n').expect("a newline");
        assert_eq!(
            set(&format!("{before}{entry}{after}"), Replace::Any),
            Ok(format!("{}{before}{rest}", line())),
            "{before}{entry}"
        );
    }
    assert_eq!(
        set(&format!("{own} # login x\n"), Replace::Own),
        Ok(format!("{}      # login x\n", line())),
        "a comment stays, on a line of its own"
    );
}

#[test]
fn further_entries_of_the_host_go_and_what_stands_around_them_stays() {
    let old = "machine cache.example.org login cachegate password cg1_old\n\n# kept\nmachine a login b password c \
               machine cache.example.org\n  login x\n  password y\nmacdef init\nput x\n\nmachine b login c password d\n";
    let new = format!(
        "{}\n# kept\nmachine a login b password c\nmacdef init\nput x\n\nmachine b login c password d\n",
        line()
    );
    assert_eq!(set(old, Replace::Any), Ok(new));
}

#[test]
fn the_entry_of_somebody_else_is_replaced_only_when_asked() {
    for entry in [
        "machine cache.example.org login bob password cg1_old",
        "machine cache.example.org login cachegate password hunter2",
        "machine cache.example.org login cachegate",
        "machine cache.example.org password cg1_old",
    ] {
        let old = format!("# one\n{entry}\n");
        let refused = NetrcEditError::Foreign { host: host(), line: 2 };
        assert_eq!(set(&old, Replace::Own), Err(refused));
        assert!(set(&old, Replace::Any).expect("replaced").contains(TOKEN));
        assert_eq!(without(&old), (old, 0), "logout takes only what is ours");
    }
}

#[test]
fn logout_takes_our_entries_and_no_others() {
    for token in ["cg1_a.b.c", "cgc_0123", "cgp_0123"] {
        let old = format!(
            "# one\nmachine a login cachegate password {token}\nmachine cache.example.org login cachegate password \
             {token}\n\nmachine b login c password d"
        );
        let new =
            format!("# one\nmachine a login cachegate password {token}\n\nmachine b login c password d");
        assert_eq!(without(&old), (new, 1));
    }
}

#[test]
fn a_file_that_does_not_parse_is_left_alone_and_its_line_is_named() {
    for (text, line) in [
        ("# one\nmachine a login b password \"c\n", 2),
        ("machine a login b password\n", 1),
        ("\u{feff}machine a login b password c\n", 1),
        ("# one\nlogin b password c\n", 2),
        ("machine a\nmacdef x\n\nlogin b password c\n", 4),
    ] {
        let error = set(text, Replace::Any).expect_err(text);
        assert!(
            matches!(&error, NetrcEditError::Unreadable { finding } if finding.line() == Some(line)),
            "{error}"
        );
        assert!(error.to_string().contains(&format!("line {line}: ")), "{error}");
        assert!(Netrc::parse(text.as_bytes()).without(&host(), &Brand::default()).is_err());
    }
}

#[test]
fn a_token_that_readers_differ_on_is_refused() {
    for (token, position) in
        [("", 0), ("#a", 0), ("a b", 1), ("a\"", 1), ("a\\b", 1), ("a\nmachine", 1), ("aé", 1)]
    {
        assert_eq!(set_token("", token, Replace::Own), Err(NetrcEditError::Token { position }));
    }
    assert!(set_token("", "azAZ09._~+/=-", Replace::Own).is_ok());
}

#[test]
fn a_line_too_long_for_some_reader_is_refused_wherever_the_token_stands() {
    let fixed = line().len() - TOKEN.len() - 1;
    assert!(set_token("", &"t".repeat(4_000 - fixed), Replace::Own).is_ok());
    assert_eq!(
        set_token("", &"t".repeat(4_001 - fixed), Replace::Own),
        Err(NetrcEditError::TooLong { length: 4_001 })
    );
    let crowded = format!("{} machine a login b password {}\n", line().trim_end(), "p".repeat(3_900));
    assert!(matches!(set(&crowded, Replace::Own), Err(NetrcEditError::TooLong { .. })));
}

/// Text that is none of our business: whole lines.
fn foreign() -> impl Strategy<Value = String> {
    let value = "[!$-Z^-~][!#-Z^-~]{0,12}".prop_filter("no word of netrc", |value| {
        !["machine", "default", "login", "password", "account", "macdef"]
            .iter()
            .any(|word| word.eq_ignore_ascii_case(value))
    });
    let name = select(vec!["a.example", "b.example", "c:80", "old.cache.example.org", "cache.example.org."]);
    let blank = "[ \t]{0,3}(\r?\n)";
    let comment = "[ \t]{0,2}# [ -~é]{0,20}\r?\n".prop_map(|text| text);
    let entry = (name, value.clone(), value, select(vec![" ", "\n", "\t", "\r\n", " \n\t", "  "])).prop_map(
        |(name, login, password, gap)| {
            format!("machine {name}{gap}login {login}{gap}password{gap}{password} \n")
        },
    );
    let quoted = "machine q\\.example login \"[ -!#-\\[\\]-~]{0,8}\" password \"[a-z ]{0,8}\"\n";
    let body = proptest::collection::vec("[!-~][ -~]{0,20}\n", 0..4);
    let macros = body.prop_map(|body| format!("macdef init\n{}\n", body.concat()));
    prop_oneof![
        2 => blank,
        2 => comment,
        4 => entry,
        1 => quoted,
        1 => macros,
        1 => Just("machine p.example password only\n".to_owned()),
    ]
}

/// An entry of ours, plain, in one of several forms; what stands between its parts is in the form.
fn own() -> impl Strategy<Value = (&'static str, &'static str, &'static str)> {
    select(vec![
        ("machine cache.example.org login cachegate password ", "\n", ""),
        ("machine cache.example.org\n  login cachegate\n  password ", "  \n", ""),
        ("machine\tcache.example.org\tpassword ", " login cachegate\r\n", ""),
        ("machine cache.example.org account x login cachegate\npassword\n", "\n", ""),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn ten_thousand_files_are_rewritten_with_every_foreign_byte_kept(
        lines in proptest::collection::vec(foreign(), 0..8),
        own in proptest::collection::vec((own(), 0_usize..9), 0..3),
        default in proptest::option::of(0_usize..9),
    ) {
        // The same file three times, from the same parts: as it is, as it should become, and without our entries.
        let (mut old, mut new, mut bare) = (String::new(), String::new(), String::new());
        let (mut placed, mut shadowed) = (false, false);
        for place in 0..9 {
            if default == Some(place) {
                for text in [&mut old, &mut new, &mut bare] {
                    *text += "default login d password e\n";
                }
                shadowed = true;
            }
            for ((before, after, _), _) in own.iter().filter(|(_, at)| *at == place) {
                old += &format!("{before}cg1_old{after}");
                if !placed && !shadowed {
                    new += &format!("{before}{TOKEN}{after}");
                    placed = true;
                } else if !placed {
                    // Behind a `default`: it leads from now on.
                    new = line() + &new;
                    placed = true;
                }
            }
            for text in [&mut old, &mut new, &mut bare] {
                *text += lines.get(place).map_or("", String::as_str);
            }
        }
        if !placed {
            new = line() + &new;
        }
        let written = set(&old, Replace::Own).expect("a file that parses");
        prop_assert_eq!(&written, &new);
        prop_assert_eq!(&set(&written, Replace::Own).expect("parses"), &written, "twice is once");
        prop_assert_eq!(without(&old), (bare, own.len()));

        let (old, written) = (Netrc::parse(old.as_bytes()), Netrc::parse(written.as_bytes()));
        let read = |netrc: &Netrc, host: &str| {
            let login = netrc.login(host).expect("parses");
            login.map(|login| (login.login().to_owned(), login.password().expose_secret().to_owned()))
        };
        prop_assert_eq!(read(&written, "cache.example.org"), Some(("cachegate".to_owned(), TOKEN.to_owned())));
        for host in ["a.example", "b.example", "p.example", "q.example", "old.cache.example.org", "none"] {
            prop_assert_eq!(read(&written, host), read(&old, host));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_parsed_and_any_edit_reads_back(bytes in "(machine |login |password |default |macdef |h |cache.example.org |[\"\\\\#\n\r \t]|[ -~]{0,3}|\n\n){0,24}") {
        let netrc = Netrc::parse(bytes.as_bytes());
        let token = SecretText::new(TOKEN.to_owned());
        match netrc.with_token(&host(), &token, Replace::Any, &Brand::default()) {
            Err(NetrcEditError::Unreadable { .. }) => prop_assert_eq!(without_error(&netrc), true),
            Err(error) => prop_assert!(false, "{error}"),
            Ok(text) => {
                let login = Netrc::parse(&text).login("cache.example.org").expect("parses").expect("found");
                prop_assert_eq!((login.login(), login.password().expose_secret()), ("cachegate", TOKEN));
            }
        }
    }
}

fn without_error(netrc: &Netrc) -> bool {
    netrc.without(&host(), &Brand::default()).is_err()
}
