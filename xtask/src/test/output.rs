//! Parses the output of `cargo test`.

/// The results of one or several runs of `cargo test`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestCounts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// The tests that are marked `#[ignore]`.
    pub(crate) ignored: Vec<Ignored>,
}

/// A test that is marked `#[ignore]`, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ignored {
    pub(crate) name: String,
    pub(crate) reason: Option<String>,
}

impl TestCounts {
    /// Parses a line of the output.
    pub(crate) fn read(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
        } else if let Some(test) = line.strip_prefix("test ")
            && let Some((name, mark)) = test.split_once(" ... ignored")
        {
            self.ignored.push(Ignored {
                name: name.to_owned(),
                reason: mark.strip_prefix(", ").map(str::to_owned),
            });
        }
    }
}

/// The number before a word: `ok. 3 passed; 0 failed; …`.
fn count(counts: &str, word: &str) -> usize {
    counts
        .split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(output: &str) -> TestCounts {
        let mut counts = TestCounts::default();
        output.lines().for_each(|line| counts.read(line));
        counts
    }

    #[test]
    fn results_of_several_binaries_are_summed() {
        let counts = counts(
            "     Running unittests src/lib.rs (target/debug/deps/x-1)\n\
             running 2 tests\n\
             test a::ok ... ok\n\
             test a::bad ... FAILED\n\
             test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             \n\
             test result: ok. 10 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 1.50s\n",
        );
        assert_eq!((counts.passed, counts.failed), (11, 1));
        assert_eq!(counts.ignored, []);
    }

    #[test]
    fn ignored_tests_have_their_reason() {
        let counts = counts(
            "test live::register::open ... ignored, needs a real Synapse: cargo xtask test\n\
             test crates/x/src/lib.rs - y (line 5) ... ignored\n\
             test result: ok. 0 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );
        let [live, doc] = &counts.ignored[..] else {
            panic!("{:?}", counts.ignored)
        };
        assert_eq!(live.name, "live::register::open");
        let reason = "needs a real Synapse: cargo xtask test";
        assert_eq!(live.reason.as_deref(), Some(reason));
        assert_eq!(doc.name, "crates/x/src/lib.rs - y (line 5)");
        assert_eq!(doc.reason, None);
        assert_eq!((counts.passed, counts.failed), (0, 0));
    }

    #[test]
    fn output_of_tests_is_not_parsed() {
        assert_eq!(
            counts("a test result: ok. 5 passed\n3 passed\n"),
            TestCounts::default()
        );
    }
}
