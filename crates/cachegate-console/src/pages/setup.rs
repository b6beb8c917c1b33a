//! What is pasted into each build tool.

/// What one tool is told.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    /// Where it goes.
    pub(crate) place: &'static str,
    pub(crate) text: String,
}

/// The tools that a cache server of this address serves, with a workspace and a token of it.
pub(super) fn tools(base: &str, organization: &str, workspace: &str, token: &str) -> Vec<Tool> {
    let place = format!("{base}/{organization}/{workspace}");
    let (scheme, authority) = base.split_once("://").unwrap_or(("https", base));
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let insecure = if scheme == "http" { "    allowInsecureProtocol = true\n" } else { "" };
    let tool = |name, place, text| Tool { name, place, text };
    vec![
        tool(
            "Nx",
            "in the environment of the build",
            format!(
                "export NX_SELF_HOSTED_REMOTE_CACHE_SERVER={place}\n\
                 export NX_SELF_HOSTED_REMOTE_CACHE_ACCESS_TOKEN={token}\n"
            ),
        ),
        tool(
            "Turborepo",
            "in the environment of the build",
            format!(
                "export TURBO_API={place}\nexport TURBO_TEAM={organization}\nexport TURBO_TOKEN={token}\n"
            ),
        ),
        tool(
            "Nix",
            "the first line into the file that netrc-file names, the second into nix.conf",
            format!("machine {host} login cachegate password {token}\n\nextra-substituters = {place}/nix\n"),
        ),
        tool(
            "ccache",
            "in the environment of the build",
            format!("export CCACHE_REMOTE_STORAGE='{place}/ccache|bearer-token={token}'\n"),
        ),
        tool(
            "sccache",
            "in the environment, before its server starts",
            format!("export SCCACHE_WEBDAV_ENDPOINT={place}/webdav\nexport SCCACHE_WEBDAV_TOKEN={token}\n"),
        ),
        tool(
            "Bazel",
            "in a file that bazel --bazelrc=FILE names",
            format!(
                "build --remote_cache={scheme}://ci:{token}@{authority}/{organization}/{workspace}/bazel\n"
            ),
        ),
        tool(
            "Gradle",
            "in settings.gradle",
            format!(
                "buildCache {{ remote(HttpBuildCache) {{\n    url = '{place}/gradle/'\n{insecure}    push = true\n    \
                 credentials {{ username = 'ci'; password = '{token}' }}\n}} }}\n"
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_is_told_where_and_with_which_token() {
        for base in ["http://127.0.0.1:8080", "https://cache.example.com"] {
            let all = tools(base, "acme", "app", "cgc_x");
            let names: Vec<_> = all.iter().map(|tool| tool.name).collect();
            assert_eq!(names, ["Nx", "Turborepo", "Nix", "ccache", "sccache", "Bazel", "Gradle"]);
            for tool in &all {
                assert!(tool.text.contains("cgc_x") && tool.text.contains("/acme/app"), "{}", tool.name);
            }
            let gradle = &all.last().expect("Gradle").text;
            assert_eq!(gradle.contains("allowInsecureProtocol"), base.starts_with("http:"));
        }
        let nix = &tools("http://127.0.0.1:8080", "acme", "app", "cgc_x")[2].text;
        assert!(nix.starts_with("machine 127.0.0.1 login cachegate password cgc_x\n"), "{nix}");
    }
}
