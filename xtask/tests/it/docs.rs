//! What the documentation names exists: the tests of the pages about rules, and the files of all links.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The names in the last column of the tables: of tests, like `auth::registration::dummy_flow`, and of modules.
fn named_tests(page: &str) -> Vec<&str> {
    let rows = page.lines().filter_map(|line| {
        let cells = line.strip_prefix('|')?.trim_end().strip_suffix('|')?;
        cells.rsplit('|').next()
    });
    let in_backticks = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    in_backticks.filter(|text| text.contains("::")).collect()
}

/// The source files that may hold the test: `a::b` is `a/b.rs` or `a/b/mod.rs`.
fn files_of(crates: &Path, name: &str) -> Option<([PathBuf; 2], String)> {
    let (path, test) = name.rsplit_once("::")?;
    let (krate, module) = path.split_once("::")?;
    let krate = match krate {
        "matricula" => "matricula".to_owned(),
        other => format!("matricula-{other}"),
    };
    let module = module.replace("::", "/");
    let dir = crates.join(krate).join("tests/it");
    let files = [
        dir.join(format!("{module}.rs")),
        dir.join(module).join("mod.rs"),
    ];
    Some((files, format!("fn {test}(")))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The targets of the Markdown links that are files of this repository.
fn linked_files(page: &str) -> impl Iterator<Item = &str> {
    let targets = page.split("](").skip(1);
    let targets = targets.filter_map(|rest| Some(rest.split_once(')')?.0));
    let targets = targets.map(|target| target.split('#').next().unwrap_or_default());
    targets.filter(|target| {
        let is_word = target.bytes().all(|byte| byte.is_ascii_graphic());
        is_word && !target.is_empty() && !target.contains(':')
    })
}

#[test]
fn linked_files_exist() {
    let root = root();
    let mut pages = vec![];
    for dir in [root.to_owned(), root.join("docs")] {
        let entries = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        pages.extend(entries.filter(|path| path.extension().is_some_and(|it| it == "md")));
    }
    let (mut missing, mut count) = (Vec::new(), 0);
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        // Rust paths in the links of pages that are also documentation of a crate are not files.
        for target in linked_files(&text).filter(|target| !target.contains("::")) {
            count += 1;
            if !page.parent().unwrap().join(target).exists() {
                missing.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(count > 30, "{count} links");
    assert!(
        missing.is_empty(),
        "links to files that do not exist: {missing:#?}"
    );
}

#[test]
fn named_tests_exist() {
    let root = root();
    let pages = ["docs/libkazv.md", "docs/homeserver.md"];
    let pages = pages.map(|page| fs::read_to_string(root.join(page)).unwrap());
    let names: Vec<_> = pages.iter().flat_map(|page| named_tests(page)).collect();
    assert!(names.len() > 100, "{} names", names.len());
    let is_module = |name: &str| {
        // The files of a test of this module.
        let files = files_of(&root.join("crates"), &format!("{name}::x"));
        files.is_some_and(|(files, _)| files.iter().any(|file| file.exists()))
    };
    let is_test = |name: &str| {
        files_of(&root.join("crates"), name).is_some_and(|(files, function)| {
            let mut sources = files
                .iter()
                .filter_map(|file| fs::read_to_string(file).ok());
            sources.any(|source| source.contains(&function))
        })
    };
    let missing: Vec<_> = names
        .into_iter()
        .filter(|name| !is_test(name) && !is_module(name))
        .collect();
    assert!(
        missing.is_empty(),
        "a page names tests that do not exist: {missing:#?}"
    );
}
