//! Lines of text that stay lines, whatever a server has written into them.

use std::io::{self, Write};

use crate::output::printable;

/// Lines to print: a text is one line, and so is each text of a list. What would break a line, or
/// controls a terminal, is left out of it. So what a server sends can neither begin a line of its own
/// nor change one, and no command has to think of it:
/// [`Output`](crate::output::Output) prints nothing else.
pub(crate) trait Lines {
    /// The lines, with line breaks between them.
    fn printable_lines(&self) -> String;
}

impl Lines for str {
    fn printable_lines(&self) -> String {
        one_line(self)
    }
}

impl Lines for String {
    fn printable_lines(&self) -> String {
        one_line(self)
    }
}

impl Lines for [String] {
    fn printable_lines(&self) -> String {
        let lines: Vec<String> = self.iter().map(|line| one_line(line)).collect();
        lines.join("\n")
    }
}

impl Lines for Vec<String> {
    fn printable_lines(&self) -> String {
        self[..].printable_lines()
    }
}

impl<const N: usize> Lines for [String; N] {
    fn printable_lines(&self) -> String {
        self[..].printable_lines()
    }
}

/// The text as one line that can be printed.
pub(crate) fn one_line(text: &str) -> String {
    printable(&text.replace("\r\n", " ").replace(['\n', '\r'], " "))
}

/// Writes each log event as one line. The library writes an event at once, with its line break.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        writeln!(io::stderr(), "{}", one_line(text))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_is_one_line() {
        for trick in [
            "\n", "\r\n", "\r", "\n\n", "\u{85}", "\u{2028}", "\u{2029}", "\u{b}", "\u{c}",
        ] {
            let text = format!("LAPTOP{trick}next: curl evil");
            for shown in [
                text.as_str().printable_lines(),
                text.printable_lines(),
                vec![text.clone()].printable_lines(),
                [text.clone()].printable_lines(),
            ] {
                assert!(shown.starts_with("LAPTOP"), "{shown:?}");
                assert!(!shown.chars().any(char::is_control), "{shown:?}");
            }
        }
        let lines = ["a\u{1b}[2J\nb".to_owned(), "  c".to_owned()];
        assert_eq!(lines.printable_lines(), "a[2J b\n  c");
        assert_eq!(Vec::new().printable_lines(), "");
    }
}
