//! What `gatectl` says, success and failure, against the real server: each transcript is a file that people read.

#![cfg(unix)]
#![expect(clippy::expect_used, reason = "tests")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use support::{Host, Shell, rules};

#[test]
fn who_am_i() {
    let host = Host::start();
    let mut shell = Shell::new(&host);
    shell.run("gatectl whoami");
    shell.run("gatectl whoami --server $SERVER");
    shell.run("gatectl whoami --server $SERVER --token-file admin.token");
    shell.run("gatectl whoami --server $SERVER --token-file - < admin.token");
    shell.set("CACHEGATE_SERVER", &host.url());
    shell.set("CACHEGATE_TOKEN_FILE", "admin.token");
    shell.run("gatectl whoami --json");
    shell.say("a token that was mistyped, cut off, or is none; nothing is sent");
    shell.run("sed -E 's/^(.{30})A/\\1B/; t; s/^(.{30})./\\1A/' admin.token | gatectl whoami --token-file -");
    shell.run("head -c 40 admin.token | gatectl whoami --token-file -");
    shell.run("gatectl whoami --token-file missing");
    shell.run("gatectl whoami --token-file - < /dev/null");
    shell.say("a server that is not there, or is none");
    shell.run("gatectl whoami --server http://127.0.0.1:1");
    shell.run("gatectl whoami --server http://cache.example.org");
    shell.run("gatectl whoami --json --server http://127.0.0.1:1");
    shell.compare("whoami.txt");
}

#[test]
fn help_and_usage() {
    let host = Host::start();
    let mut shell = Shell::new(&host);
    shell.run("gatectl --help");
    shell.run("gatectl auth token device create --help");
    shell.run("gatectl");
    shell.run("gatectl frobnicate");
    shell.run("gatectl auth token device revoke --server $SERVER");
    shell.run("gatectl auth token device create --server $SERVER --expires-in soon");
    shell.run("gatectl completions bash | head -n 3");
    shell.run("gatectl completions zsh | head -n 1");
    shell.compare("help.txt");
}

#[test]
fn log_in_by_token() {
    let host = Host::start();
    let mut shell = Shell::new(&host);
    shell.run("gatectl login --token-file admin.token");
    shell.run("gatectl login --server $SERVER --token-file admin.token");
    shell.run("cat .netrc .config/nix/nix.conf; stat -c '%a %n' .netrc .config/cachegate/tokens.json");
    shell.run("gatectl status");
    shell.run("gatectl whoami");
    shell.say("again: nothing is written twice");
    shell.run("gatectl login --token-file - < admin.token");
    shell.run("gatectl status --json");
    shell.run("gatectl logout");
    shell.run("cat .netrc .config/nix/nix.conf");
    shell.run("gatectl status");
    shell.run("gatectl logout --server $SERVER");
    shell.say("a token that the server does not take is stored nowhere");
    shell.set("CACHEGATE_SERVER", &host.url());
    let revoked = shell
        .quiet("gatectl auth token personal create --token-file admin.token --description 'to be revoked'");
    shell.write("revoked.token", &revoked);
    shell.quiet(
        "gatectl auth token personal revoke --token-file admin.token --token-id $(gatectl whoami --json --token-file \
         revoked.token | sed -n 's/^  \"token\": \"\\(.*\\)\",/\\1/p')",
    );
    shell.run("gatectl login --token-file revoked.token");
    shell.run("gatectl login --paste");
    shell.say("files that hold what somebody else wrote");
    shell.write(".netrc", "machine 127.0.0.1 login me password mine\n");
    shell.run("gatectl login --token-file admin.token");
    shell.run("gatectl login --token-file admin.token --replace && cat .netrc");
    shell.write(".config/nix/nix.conf", "cores = 2\nnetrc-file = /etc/nix/netrc\n");
    shell.run("gatectl login --token-file admin.token --netrc-file other.netrc");
    shell.run("gatectl login --token-file admin.token --no-netrc && cat .config/nix/nix.conf");
    shell.write(".netrc", "machine \"open login\n");
    shell.write(".config/nix/nix.conf", "");
    shell.run("gatectl login --token-file admin.token");
    shell.compare("login.txt");
}

#[test]
fn log_in_by_device_code() {
    let host = Host::start();
    let mut shell = Shell::new(&host);
    shell.converse("gatectl login --server $SERVER", decide("approve"));
    shell.run("gatectl status");
    shell.run("gatectl whoami");
    shell.run("gatectl agent --once --margin 1m");
    shell.say("a margin longer than the session lives: it is renewed");
    shell.quiet("cp .netrc before");
    shell.run("gatectl agent --once --margin 1h");
    shell.run("cmp -s .netrc before || echo netrc has another token");
    shell.run("gatectl logout");
    shell.run("gatectl whoami");
    shell.compare("login-device.txt");
}

#[test]
fn somebody_says_no() {
    let host = Host::start();
    let mut shell = Shell::new(&host);
    shell.converse("gatectl login --server $SERVER", decide("deny"));
    shell.run("gatectl status");
    shell.compare("login-denied.txt");
}

/// What the administrator does in a browser, once the terminal shows its code.
fn decide(decision: &'static str) -> impl FnMut(&Host, &str) {
    move |host, heard| {
        if let Some((_, code)) = heard.split_once("confirm the code ") {
            let form = format!("user_code={code}&decision={decision}");
            assert!(host.post("/activate", &form, &host.administrator()).contains("200 OK"));
        }
    }
}

#[test]
#[ignore = "needs python: run by cargo xtask test"]
fn log_in_by_a_pasted_token() {
    let host = Host::start();
    let mut shell = Shell::new(&host);
    let prompt = "token (not shown): ";
    shell.typed("gatectl login --paste --server $SERVER", prompt, "admin.token");
    shell.run("cat .netrc");
    shell.run("gatectl logout 2>/dev/null");
    shell.say("half of a token, and none");
    shell.quiet("head -c 40 admin.token > half.token; : > no.token");
    shell.typed("gatectl login --paste --server $SERVER", prompt, "half.token");
    shell.typed("gatectl login --paste --server $SERVER", prompt, "no.token");
    shell.compare("login-paste.txt");
}

#[test]
fn the_agent_keeps_netrc_fresh_while_builds_run() {
    // A session lives for four seconds, and the identity behind it is good for more than one.
    let host = Host::with_rules(|rules| {
        let rules = rules.replace("lane = \"main\"", "lane = \"main\", ttl = 4");
        rules.replace("platform =", "mode = \"direct\"\nplatform =")
    });
    let mut shell = Shell::new(&host);
    shell.set("GITLAB_CI", "true");
    // Should this machine stop for longer than the identity is good, the agent ends and says so: then once more.
    let (mut used, mut said) = (BTreeSet::new(), String::new());
    for _ in 0..5 {
        let at = cache_server::now().as_unix_seconds() + 20;
        shell.set("CACHEGATE_ID_TOKEN", &host.identity(&host.url(), at));
        let mut agent =
            shell.command("exec gatectl agent --ambient --server $SERVER").spawn().expect("a shell");
        used.clear();
        // A build reads netrc anew for each request, as Nix and curl do.
        while used.len() < 3 && agent.try_wait().expect("its status").is_none() {
            let netrc = std::fs::read_to_string(shell.home.join(".netrc")).unwrap_or_default();
            let token = netrc.rsplit(' ').next().unwrap_or_default().trim().to_owned();
            if !token.is_empty() && host.send("GET", "/api/v1/whoami", "", &token).contains("200 OK") {
                used.insert(token);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        // It may have ended by itself.
        let _ = agent.kill();
        let output = agent.wait_with_output().expect("its end");
        said = String::from_utf8_lossy(&output.stderr).into_owned();
        if used.len() == 3 {
            break;
        }
    }
    assert_eq!(used.len(), 3, "{said}");
    shell.run("sed -E 's/password .*/password TOKEN/' .netrc; stat -c %a .netrc");
    shell.say("and where there is nothing to renew, or nobody who could");
    shell.set("GITLAB_CI", "");
    shell.run("gatectl agent --once --server http://localhost:1");
    shell.run("gatectl agent --once --ambient --server http://localhost:1");
    shell.quiet("gatectl login --server $SERVER --token-file admin.token --replace 2>/dev/null");
    shell.run("gatectl agent --server $SERVER");
    shell.compare("agent.txt");
}

#[test]
fn releases() {
    let host = Host::start();
    let mut shell = Shell::logged_in(&host);
    let hashes = ["6h16lcyhnnw252s3qv43rgxbwglzif48", "n2bcxzvpmycfx9gy997dwwwynf5h7338"];
    // A job of the trunk puts two outputs and their source, and publishes them: its rule says so.
    let at = cache_server::now().as_unix_seconds();
    let mut job = Shell::new(&host);
    job.set("GITLAB_CI", "true");
    job.set("CACHEGATE_ID_TOKEN", &host.identity(&host.url(), at));
    job.quiet("gatectl login --server $SERVER --ambient --no-netrc");
    let token = job.quiet(
        "echo '{\"uri\":\"'$SERVER'/\"}' | gatectl credential-helper get | sed 's/.*Bearer //; s/\".*//'",
    );
    let put = |path: &str, body: &str| {
        let answer = host.send("PUT", path, body, &token);
        assert!(answer.contains("201 Created"), "{path}: {answer}");
    };
    for hash in hashes {
        let told = format!("StorePath: /nix/store/{hash}-pkg\nURL: nar/{hash}.nar\nReferences: \n");
        put(&format!("/acme/app/nix/nar/{hash}.nar"), "nar");
        put(&format!("/acme/app/nix/{hash}.narinfo"), &told);
    }
    let digest = "b608089734879cfb06c974d592537dd3e28086592f7f5556b82c836c8f7edb17";
    put(&format!("/f/acme/app/source/{digest}"), "the source");
    let outputs = format!(
        "{{\"outputs\": {{\"default\": \"/nix/store/{}-pkg\", \"doc\": \"/nix/store/{}-pkg\"}}, \"source\": \
         \"{digest}\"}}",
        hashes[0], hashes[1]
    );
    for version in ["0.1.4", "2.0.0"] {
        put(&format!("/f/acme/app/{version}"), &outputs);
        let published = host.send("POST", &format!("/f/acme/app/{version}"), "", &token);
        assert!(published.contains("201 Created"), "{published}");
    }

    shell.run("gatectl resolve 'acme/app/*#default'");
    shell.run("gatectl resolve acme/app/0.1#doc --json");
    shell.run("gatectl resolve acme/app/0.1#other");
    shell.run("gatectl resolve acme/app/3");
    shell.run("gatectl resolve acme/nope/0.1");
    shell.run("gatectl resolve acme/app");
    shell.run("gatectl resolve 'acme/app/one#default'");
    shell.say("a device that resolves 0.1 and reads what it resolved");
    let make = "gatectl auth token device create -w acme/app --requirement 0.1 2>/dev/null";
    let (bound, reading) = (shell.quiet(make), shell.quiet(&format!("{make} --closure")));
    shell.write("bound.token", &bound);
    shell.write("reading.token", &reading);
    shell.run("gatectl resolve acme/app/0.1#default --include-token --token-file reading.token | tee both");
    shell.run("gatectl resolve 'acme/app/2#default' --token-file reading.token");
    shell.run("gatectl resolve acme/app/0.1 --include-token --token-file bound.token");
    shell.quiet("tail -n 1 both > closure.token; chmod 600 closure.token");
    let entry =
        |hash: &str| format!("gatectl fetch --entry acme/app/nix/{hash}.narinfo --token-file closure.token");
    shell.run(&entry(hashes[0]));
    shell.say("the other output is none of its business");
    shell.run(&entry(hashes[1]));
    shell.run("gatectl fetch acme/app/0.1 --token-file closure.token");
    shell.say("the source");
    shell.run("gatectl fetch acme/app/0.1 -o source.tar.gz && cat source.tar.gz");
    shell.run("gatectl fetch acme/app/0.1 --json -o source.tar.gz");
    shell.run("gatectl fetch acme/app/0.1 --token-file bound.token -o other.tar.gz; test -e other.tar.gz || echo no file");
    shell.run("gatectl fetch acme/app/0.1 -o missing/source.tar.gz");
    shell.run("gatectl fetch --entry acme/app/nix/none.narinfo");
    shell.run("gatectl fetch --entry '/acme/app/nix/a b'");
    shell.run("gatectl fetch");
    shell.compare("releases.txt");
}

#[test]
fn device_tokens() {
    let host = Host::start();
    let mut shell = Shell::logged_in(&host);
    shell.run("gatectl auth token device list --org acme");
    shell.run("gatectl auth token device create --org acme --description 'Submarine #137'");
    shell.tick();
    shell.run("gatectl auth token device create -o acme -d 'for a week' --expires-in 7d 2>/dev/null");
    shell.tick();
    shell.run("gatectl auth token device create -w acme/app --requirement 0.1 --closure -d buoy");
    shell.run("gatectl auth token device list --org acme");
    shell.run("gatectl auth token device list -o acme -l 1");
    shell.run("gatectl auth token device list -o acme -l 1 --json");
    let id = shell
        .quiet("gatectl auth token device list -l 1 --json | sed -n 's/^    \"id\": \"\\(.*\\)\",/\\1/p'");
    shell.set("ID", &id);
    shell.tick();
    shell.run("gatectl auth token device rotate --token-id $ID --overlap 2h");
    shell.run("gatectl auth token device revoke --org acme --token-id $ID --reason 'lost at sea'");
    shell.run("gatectl auth token device list --org acme --all");
    shell.say("what is refused");
    shell.run("gatectl auth token device revoke --token-id $ID");
    shell.run("gatectl auth token ci revoke --token-id $ID");
    shell.run("gatectl auth token device revoke --token-id 174579a8-b247-4cde-9636-54383015eb3e");
    shell.run("gatectl auth token device create --org umbrella -d nope");
    shell.run("gatectl auth token device create -w acme/nope --requirement '*'");
    shell.run("gatectl auth token device create -w acme/app");
    shell.run("gatectl auth token device create -w acme/app --requirement one");
    let device = shell.quiet("gatectl auth token device create --org acme");
    shell.write("device.token", &device);
    shell.run("gatectl whoami --token-file device.token");
    shell.run("gatectl auth token device create --org acme --token-file device.token");
    shell.compare("tokens-device.txt");
}

#[test]
fn ci_and_personal_tokens() {
    let host = Host::start();
    let mut shell = Shell::logged_in(&host);
    shell.tick();
    shell.run("gatectl auth token ci create --workspace acme/app --description 'main pipeline'");
    shell.tick();
    shell.run(
        "gatectl auth token ci create -w acme/app --level read-only -d 'pull requests' --expires-in 30d",
    );
    shell.tick();
    shell.run("gatectl auth token ci create -w acme/app --lane pull/17 --json");
    shell.run("gatectl auth token ci list -w acme/app");
    shell.tick();
    shell.run("gatectl auth token ci create --level read-write");
    shell.tick();
    shell.run("gatectl auth token ci create -w acme/app --level admin");
    shell.tick();
    shell.run("gatectl auth token personal create -d laptop --expires-in 90d");
    shell.tick();
    shell.run("gatectl auth token personal create -d nix --jwt");
    shell.run("gatectl auth token personal list");
    shell.compare("tokens-ci-personal.txt");
}

#[test]
fn why() {
    let host = Host::start();
    let mut shell = Shell::logged_in(&host);
    shell.run("gatectl explain --action write --workspace acme/app");
    shell.run("gatectl explain --action write --workspace acme/app --key 1234");
    shell.run("gatectl explain --action read --workspace acme/app --key 1234 --json");
    let device = shell.quiet("gatectl auth token device create --org acme");
    shell.write("device.token", &device);
    shell.say("asked as a device");
    shell.run("gatectl explain --action write --workspace acme/app --token-file device.token");
    let decision = shell.quiet(
        "gatectl explain --action write -w acme/app --token-file device.token --json | sed -n 's/^  \"id\": \
         \"\\(.*\\)\"/\\1/p'",
    );
    shell.set("DECISION", &decision);
    shell.run("gatectl explain $DECISION");
    shell.run("gatectl explain 01890a5d-ac96-774b-bcce-b302099a8057");
    shell.run("gatectl explain");
    shell.run("gatectl explain --action write");
    shell.compare("explain.txt");
}

#[test]
fn trust_rules_on_trial() {
    const AT: i64 = 1_700_000_000;
    let host = Host::start();
    let mut shell = Shell::new(&host);
    let good = rules(&host.issuer, "https://cache.example");
    shell.write("rules.toml", &good);
    shell.write("loose.toml", &good.replace(", { fact = \"trigger.class\", equals = \"trusted\" }", ""));
    let pins = "{ fact = \"repo.id\", is = \"20\" }, { fact = \"owner.id\", is = \"72\" }";
    shell.write("open.toml", &good.replace("https://gitlab.example", "https://gitlab.com").replace(pins, ""));
    shell.write("other.toml", &good.replace("name = \"main\" }", "name = \"release/*\" }"));
    shell.write("job.jwt", &host.identity("https://cache.example", AT));
    shell.write("elsewhere.jwt", &host.identity("https://elsewhere.example", AT));
    shell.write("keys.json", &host.issuer.key_set().to_string());
    shell.run("gatectl policy lint rules.toml");
    shell.run("gatectl policy lint loose.toml");
    shell.run("gatectl policy lint open.toml");
    shell.run("gatectl policy lint open.toml --json");
    shell.run("gatectl policy lint missing.toml");
    shell.run("gatectl policy lint job.jwt");
    shell.run(&format!("gatectl policy test rules.toml --identity job.jwt --keys keys.json --at {AT}"));
    shell
        .run(&format!("gatectl policy test rules.toml --identity job.jwt --keys keys.json --at {AT} --json"));
    shell.run(&format!("gatectl policy test other.toml --identity job.jwt --keys keys.json --at {AT}"));
    shell.run(&format!("gatectl policy test rules.toml --identity elsewhere.jwt --keys keys.json --at {AT}"));
    shell.run("gatectl policy test rules.toml --identity job.jwt --keys keys.json --at 1800000000");
    shell.compare("policy.txt");
}

#[test]
fn bazels_credential_helper() {
    let host = Host::start();
    let mut shell = Shell::logged_in(&host);
    shell.run("echo '{\"uri\":\"'$SERVER'/acme/app/bazel/cas/1\"}' | gatectl credential-helper get");
    shell.say("another server, another port, another scheme: no token");
    shell.run("echo '{\"uri\":\"https://cache.example.org/\"}' | gatectl credential-helper get");
    shell.run("echo '{\"uri\":\"http://127.0.0.1:1/\"}' | gatectl credential-helper get");
    shell.run("echo '{\"uri\":\"'$SERVER'.evil.example/\"}' | gatectl credential-helper get");
    shell.run("echo '{\"uri\":\"'$SERVER'@evil.example/\"}' | gatectl credential-helper get");
    shell.run(
        "echo '{\"uri\":\"https://evil.example/\"}' | gatectl credential-helper get --token-file admin.token",
    );
    shell.run("echo nothing | gatectl credential-helper get");
    shell.compare("credential-helper.txt");
}

#[test]
fn the_doctor_of_netrc() {
    let host = Host::start();
    let mut shell = Shell::new(&host);
    shell.run("gatectl netrc doctor");
    shell.write(".netrc", "machine a.example login me password x\n");
    shell.run("gatectl netrc doctor");
    shell.write("bad.netrc", "default login me password x\nmachine a.example password \"y z\"\n#tight\nmachine b.example:80 login u password v\n");
    shell.quiet("chmod 644 bad.netrc");
    shell.run("gatectl netrc doctor bad.netrc");
    shell.run("gatectl netrc doctor bad.netrc --json");
    shell.write(
        "open.netrc",
        "machine a.example login me password \"x\nmachine b.example login u password v\n",
    );
    shell.run("gatectl netrc doctor open.netrc");
    shell.compare("netrc-doctor.txt");
}

#[test]
fn committed_tokens() {
    let host = Host::start();
    let mut shell = Shell::logged_in(&host);
    shell.tick();
    let token = shell.quiet("gatectl auth token ci create -w acme/app -d committed");
    let other = shell.quiet("gatectl auth token personal create -d 'in .env'");
    let nx = format!(
        "{{\n  \"$schema\": \"./x.json\",\n  \"nxCloudAccessToken\": \"{token}\",\n  \"plugins\": [ \"a\" ]\n}}\n"
    );
    shell.write("project/nx.json", &nx);
    shell.write("project/.env", &format!("DEBUG=1\nCACHE_TOKEN={other}\n"));
    shell.write(
        "project/.turbo/config.json",
        &format!("{{\n  \"teamid\": \"team_acme\",\n  \"token\": \"{token}\"\n}}\n"),
    );
    shell.write(
        "project/src/main.rs",
        "// cgc_0000000000000000000000000000000000000000000000000000000000000000000 is a placeholder\n",
    );
    shell.run("gatectl scan project");
    shell.run("gatectl scan project/src");
    shell.run("gatectl scan project --json");
    shell.run("gatectl scan missing");
    shell.say("in a repository, what is tracked is looked at, and nothing else");
    shell.run("cd project && git init -q && git add nx.json && gatectl scan");
    shell.run("gatectl convert project/nx.json --dry-run");
    shell.run("gatectl convert project/nx.json");
    shell.run("cat project/nx.json");
    shell.run("gatectl convert project/nx.json");
    shell.write("project/nx.json", &nx);
    shell.tick();
    shell.run("gatectl convert project/nx.json --rotate --overlap 2h");
    shell.run("gatectl auth token ci list -w acme/app --all");
    shell.run("gatectl convert project/.turbo/config.json && cat project/.turbo/config.json");
    shell.run("gatectl convert project/.env && cat project/.env");
    shell.run("gatectl convert project/src/main.rs");
    shell.write("project/nx.json", "{ \"nxCloudAccessToken\": \"bm90LW91cnM=\" }\n");
    shell.run("gatectl convert project/nx.json");
    shell.run("gatectl convert project/nx.json --workspace-id 6543abc && cat project/nx.json");
    shell.compare("scan-convert.txt");
}

#[test]
fn the_identity_of_a_job() {
    let host = Host::start();
    let mut shell = Shell::new(&host);
    shell.run("gatectl ambient");
    shell.run("gatectl login --server $SERVER --ambient");
    shell.set("GITLAB_CI", "true");
    shell.run("gatectl ambient");
    shell.run("gatectl ambient --print");
    shell.run("gatectl ambient --print --audience $SERVER");
    let at = cache_server::now().as_unix_seconds();
    shell.set("CACHEGATE_ID_TOKEN", &host.identity(&host.url(), at));
    shell.run("gatectl ambient --print --audience $SERVER");
    shell.run("gatectl ambient --print --audience https://elsewhere.example");
    shell.run("gatectl login --server $SERVER --ambient");
    shell.run("gatectl whoami");
    shell.say("a token of a platform counts once");
    shell.run("gatectl login --server $SERVER --ambient");
    shell.run("gatectl agent --once --ambient");
    shell.run("gatectl agent --once --margin 1h");
    shell.compare("ambient.txt");
}

#[test]
fn two_logins_at_once_lose_nothing() {
    let host = Host::start();
    let shell = Shell::new(&host);
    let port = host.address.port();
    let servers = [format!("http://127.0.0.1:{port}"), format!("http://localhost:{port}")];
    for _ in 0..3 {
        let logins = servers.clone().map(|server| {
            let line = format!("gatectl login --server {server} --token-file admin.token");
            shell.command(&line).spawn().expect("a shell")
        });
        for login in logins {
            let output = login.wait_with_output().expect("its end");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let read = |name: &str| std::fs::read_to_string(shell.home.join(name)).expect(name);
        for server in &servers {
            assert!(read(".config/cachegate/tokens.json").contains(&format!("\"{server}\"")), "{server}");
        }
        let netrc = read(".netrc");
        for machine in ["machine 127.0.0.1 login cachegate", "machine localhost login cachegate"] {
            assert_eq!(netrc.matches(machine).count(), 1, "{machine}");
        }
        assert_eq!(read(".config/nix/nix.conf").matches("netrc-file").count(), 1);
        std::fs::remove_file(shell.home.join(".netrc")).expect("gone");
        std::fs::remove_dir_all(shell.home.join(".config")).expect("gone");
    }
}
