//! The tests that `docs/libkazv.md` names exist.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The test names in the last column of the tables, like `auth::registration::dummy_flow`.
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

#[test]
fn named_tests_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("docs/libkazv.md")).unwrap();
    let names = named_tests(&page);
    assert!(names.len() > 100, "{} names", names.len());
    let exists = |name: &str| {
        files_of(&root.join("crates"), name).is_some_and(|(files, function)| {
            let mut sources = files
                .iter()
                .filter_map(|file| fs::read_to_string(file).ok());
            sources.any(|source| source.contains(&function))
        })
    };
    let missing: Vec<_> = names.into_iter().filter(|name| !exists(name)).collect();
    assert!(
        missing.is_empty(),
        "docs/libkazv.md names tests that do not exist: {missing:#?}"
    );
}
