//! Runs the command on a terminal of its own.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::json;

use crate::command::Home;

/// So wide that no line is broken.
const WIDE: u16 = 500;

/// Runs a command line on a wide terminal and types the answer to each question: the exit code, and all
/// that stood there. Each answer waits for its text.
pub(crate) fn on_a_terminal(
    home: &Home,
    line: &str,
    answers: &[(&str, &str)],
    env: &[(&str, &str)],
) -> (i32, String) {
    on_columns(WIDE, home, line, answers, env)
}

/// The same on a terminal of this width.
pub(crate) fn on_columns(
    columns: u16,
    home: &Home,
    line: &str,
    answers: &[(&str, &str)],
    env: &[(&str, &str)],
) -> (i32, String) {
    let mut python = Command::new("python3");
    python
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/it/on_a_terminal.py"
        ))
        .arg(env!("CARGO_BIN_EXE_matricula"))
        .args(line.split_whitespace())
        .current_dir(home.files())
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", home.root())
        .env("MATRICULA_HOME", home.matricula())
        .env("TERM", "xterm-256color")
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = python.spawn().expect("python3 is there");
    let order = json!({ "columns": columns, "steps": answers });
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(order.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let seen = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(errors, "", "{line}: {seen}");
    (output.status.code().unwrap(), seen)
}

/// What stood there, without colours and the movements of the cursor.
pub(crate) fn plain(seen: &str) -> String {
    let (mut text, mut rest) = (String::new(), seen.chars());
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' if rest.as_str().starts_with('[') => {
                let _ = rest.find(|c| c.is_ascii_alphabetic());
            }
            '\r' => {}
            c => text.push(c),
        }
    }
    text
}
