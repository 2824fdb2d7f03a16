//! A person with a browser: what `$BROWSER` is asked to open is visited by the test.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use crate::command::{Ended, Home, Line};

/// A program for `$BROWSER` that writes down what it is asked to open.
pub(crate) struct Browser {
    program: PathBuf,
    opened: PathBuf,
}

impl Browser {
    pub(crate) fn new(home: &Home) -> Self {
        let program = home.root().join("browser");
        let opened = home.root().join("opened");
        // The line break at the end says that all of it is there.
        let script = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$*\" >> '{}'\n",
            opened.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        Self { program, opened }
    }

    pub(crate) fn program(&self) -> &str {
        self.program.to_str().unwrap()
    }

    /// What it was asked to open, in order.
    pub(crate) fn opened(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.opened).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(str::to_owned).collect()
    }

    /// Runs a command line; `person` is handed each address that it opens.
    pub(crate) fn run(&self, line: Line, mut person: impl FnMut(&str)) -> Ended {
        let mut seen = self.opened().len();
        line.env("BROWSER", self.program()).run_while(|_| {
            for url in self.opened().iter().skip(seen) {
                seen += 1;
                person(url);
            }
        })
    }
}
