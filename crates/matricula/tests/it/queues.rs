//! The queues of `examples/`, as the program that it is.

use std::process::Command;

use crate::examples::example;

const EXPECTED: &str = "\
AlwaysContinue
  one: sent
  two: refused (M_FORBIDDEN)
  three: sent
CancelFutureIfFailed
  one: sent
  two: refused (M_FORBIDDEN)
  three: cancelled
Hold
  one: sent
  two: held, refused (M_FORBIDDEN); Retry
  two: sent
  three: sent
Hold
  one: sent
  two: held, refused (M_FORBIDDEN); Skip
  two: refused (M_FORBIDDEN)
  three: sent
";

#[test]
fn each_policy_does_what_it_says() {
    let output = Command::new(example("queues")).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}{errors}");
    // The server's own words are no part of it.
    let lines = said.lines().map(|line| match line.split_once(": ") {
        Some((head, rest)) if rest.contains("M_FORBIDDEN: ") => {
            let (before, words) = rest.split_once("M_FORBIDDEN: ").unwrap();
            let after = &words[words.find(')').unwrap()..];
            format!("{head}: {before}M_FORBIDDEN{after}\n")
        }
        _ => format!("{line}\n"),
    });
    assert_eq!(lines.collect::<String>(), EXPECTED);
}
