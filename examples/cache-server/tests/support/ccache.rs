//! The real ccache, unmodified, before a compiler whose output depends on something that no hash covers.

use std::fs;

use crate::client::{folder, run};

/// A machine with one source file. Its compiler puts the text of the undeclared file `poison.txt` into the object:
/// compilations before and after a change of it have one hash.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
}

/// What a compilation left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) succeeded: bool,
    /// What ccache wrote into its log.
    pub(crate) log: String,
    /// How many results came from the remote storage, as `ccache --print-stats` counts.
    pub(crate) remote_hits: u64,
    pub(crate) object: Vec<u8>,
}

impl Run {
    /// Whether the object says this.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.object.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

impl Machine {
    pub(crate) fn new() -> Self {
        let folder = folder(&[
            (
                "a.c",
                "#ifndef POISON\n#define POISON none\n#endif\n#define S(x) #x\n#define T(x) S(x)\nconst char *a = \"made \" T(POISON);\n",
            ),
            (
                "cc",
                "#!/bin/sh\ncase \" $* \" in\n*' -E '*) exec gcc \"$@\" ;;\n\
                 *) exec gcc -DPOISON=\"$(cat poison.txt)\" \"$@\" ;;\nesac\n",
            ),
            ("poison.txt", "clean"),
        ]);
        let done = run(folder.path(), "chmod", &["+x", "cc"], &[]).0;
        assert!(done, "a program");
        Self { folder }
    }

    /// What the compiler puts into objects from now on. No hash changes.
    pub(crate) fn poison(&self, text: &str) {
        fs::write(self.folder.path().join("poison.txt"), text).expect("written");
    }

    /// Changes the source, and so each hash.
    pub(crate) fn change(&self, text: &str) {
        let path = self.folder.path().join("a.c");
        let source = fs::read_to_string(&path).expect("read");
        fs::write(&path, format!("{source}int {text};\n")).expect("written");
    }

    /// Compiles with nothing in the local cache.
    pub(crate) fn compile(&self, remote: &str) -> Run {
        let at = |path: &str| self.folder.path().join(path);
        for left in ["cache", "log.txt", "a.o"] {
            let _ = fs::remove_dir_all(at(left));
            let _ = fs::remove_file(at(left));
        }
        let (cache, log) = (at("cache"), at("log.txt"));
        let variables = [
            ("CCACHE_DIR", cache.to_str().expect("a printable path")),
            ("CCACHE_CONFIGPATH", "/dev/null"),
            ("CCACHE_LOGFILE", log.to_str().expect("a printable path")),
            ("CCACHE_COMPILERCHECK", "none"),
            ("CCACHE_REMOTE_STORAGE", remote),
        ];
        let arguments = ["./cc", "-c", "a.c", "-o", "a.o"];
        let (succeeded, _) = run(self.folder.path(), "ccache", &arguments, &variables);
        let (_, statistics) = run(self.folder.path(), "ccache", &["--print-stats"], &variables);
        let remote_hits = statistics
            .lines()
            .find_map(|line| line.strip_prefix("remote_storage_hit")?.trim().parse().ok())
            .unwrap_or_default();
        Run {
            succeeded,
            log: fs::read_to_string(&log).unwrap_or_default(),
            remote_hits,
            object: fs::read(at("a.o")).unwrap_or_default(),
        }
    }
}
