//! Checks the dependency tree of each library against its checked-in list.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::workspace::{cargo, output_of, root};

/// A fixed platform, so that the lists do not depend on the machine.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// Checks the tree of each library. The error shows the differences.
pub(crate) fn check() -> Result<()> {
    let mut differences = String::new();
    for library in libraries()? {
        let actual = tree(&library)?;
        let list = library.list();
        let allowed = fs::read_to_string(&list).unwrap_or_default();
        let allowed = allowed.lines().map(str::to_owned).collect();
        let difference = difference(&allowed, &actual);
        if !difference.is_empty() {
            differences += &format!("{} differs:\n{difference}", shown(&list));
        }
    }
    if differences.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "dependencies that are missing in the lists (+), or no longer used (-):\n\
             {differences}Undo the change, or accept it with `cargo xtask deps --bless`"
        ))
    }
}

/// Updates the list of each library.
pub(crate) fn bless() -> Result<()> {
    for library in libraries()? {
        let mut text = String::new();
        for name in tree(&library)? {
            text += &name;
            text.push('\n');
        }
        let list = library.list();
        if fs::read_to_string(&list).ok().as_deref() != Some(&text) {
            fs::write(&list, text)
                .map_err(|error| format!("{} could not be written: {error}", shown(&list)))?;
            eprintln!("wrote {}", shown(&list));
        }
    }
    Ok(())
}

struct Library {
    name: String,
    dir: PathBuf,
}

impl Library {
    fn list(&self) -> PathBuf {
        self.dir.join("deps.txt")
    }
}

fn libraries() -> Result<Vec<Library>> {
    let crates = root().join("crates");
    let entries = fs::read_dir(&crates)
        .map_err(|error| format!("{} cannot be read: {error}", shown(&crates)))?;
    let mut libraries: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.path().join("src/lib.rs").is_file())
        .map(|entry| Library {
            name: entry.file_name().to_string_lossy().into_owned(),
            dir: entry.path(),
        })
        .collect();
    libraries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(libraries)
}

fn tree(library: &Library) -> Result<BTreeSet<String>> {
    let output = output_of(
        cargo()
            .args([
                "tree",
                "--edges",
                "normal",
                "--prefix",
                "none",
                "--all-features",
            ])
            .args(["--target", PLATFORM, "--package", &library.name]),
    )?;
    Ok(names(&output, &library.name))
}

/// The packages in the output of `cargo tree --prefix none`, without the root.
fn names(output: &str, own: &str) -> BTreeSet<String> {
    output
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != own)
        .map(str::to_owned)
        .collect()
}

fn difference(allowed: &BTreeSet<String>, actual: &BTreeSet<String>) -> String {
    let new = actual.difference(allowed).map(|name| format!("+ {name}\n"));
    let gone = allowed.difference(actual).map(|name| format!("- {name}\n"));
    new.chain(gone).collect()
}

fn shown(path: &Path) -> std::path::Display<'_> {
    path.strip_prefix(root()).unwrap_or(path).display()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn cargo_tree_is_parsed_to_names() {
        let output = "mine v0.1.0 (/x/crates/mine)\nurl v2.5.0\nserde v1.0.2\n\
                      serde_derive v1.0.2 (proc-macro)\nserde v1.0.2 (*)\n\n";
        assert_eq!(
            names(output, "mine"),
            set(&["serde", "serde_derive", "url"])
        );
    }

    #[test]
    fn difference_shows_new_and_removed() {
        let shown = difference(&set(&["a", "b"]), &set(&["b", "c"]));
        assert_eq!(shown, "+ c\n- a\n");
        assert_eq!(difference(&set(&["a"]), &set(&["a"])), "");
    }
}
