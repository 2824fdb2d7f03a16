//! Output: data to standard output, messages to standard error.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use matricula::core::lossy_json;
use serde::Serialize;
use serde_json::Value;
use terminal_size::{Width, terminal_size_of};
use unicode_width::UnicodeWidthStr;

use crate::{
    error::CommandError,
    lines::{Lines, one_line},
    stdout, text,
};

/// Prints as text or as JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    colour: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let colour = std::io::stderr().is_terminal() && may_colour();
        Self { json, colour }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Whether messages are coloured.
    pub(crate) fn has_colour(self) -> bool {
        self.colour
    }

    /// Prints a message.
    pub(crate) fn say(self, text: &str) {
        self.say_in_full(&quoted(text));
    }

    /// Prints a warning.
    pub(crate) fn warn(self, text: &str) {
        self.warn_in_full(&quoted(text));
    }

    /// Prints a message. It is not shortened, because it may contain a long address.
    pub(crate) fn say_in_full(self, lines: &(impl Lines + ?Sized)) {
        write_to_stderr(&wrapped_for_stderr(&lines.printable_lines()));
    }

    /// Prints a warning. It is not shortened.
    pub(crate) fn warn_in_full(self, lines: &(impl Lines + ?Sized)) {
        if self.colour {
            let text = wrapped_for_stderr(&lines.printable_lines());
            write_to_stderr(&format!("\x1b[33m{text}\x1b[0m"));
        } else {
            self.say_in_full(lines);
        }
    }

    /// Prints the result: as text, or the JSON object.
    pub(crate) fn result(self, words: &(impl Lines + ?Sized), object: &Value) {
        let text = if self.json {
            escaped(&object.to_string())
        } else {
            let words = words.printable_lines();
            match width_of_stdout() {
                Some(width) => text::wrapped(&words, width),
                None => words,
            }
        };
        stdout::write(format!("{text}\n").as_bytes());
    }

    /// Prints the result as a table of labels and values, or the JSON object. Repeated labels are
    /// shown once.
    pub(crate) fn table(self, rows: &[Row], object: &Value) {
        if self.json {
            return self.result("", object);
        }
        let has_colour = std::io::stdout().is_terminal() && may_colour();
        let text = table(rows, has_colour, width_of_stdout());
        stdout::write(text.as_bytes());
    }

    /// Prints a result that is JSON in text mode too, but indented.
    pub(crate) fn json(self, value: &Value, object: &Value) {
        if self.json {
            return self.result("", object);
        }
        // A line break between words would be one in a text of the JSON.
        stdout::write(format!("{}\n", escaped(&format!("{value:#}"))).as_bytes());
    }

    /// Prints raw bytes; on a terminal, as one line.
    pub(crate) fn bytes(self, bytes: &[u8]) {
        if std::io::stdout().is_terminal() {
            let line = one_line(&String::from_utf8_lossy(bytes));
            stdout::write(format!("{line}\n").as_bytes());
        } else {
            stdout::write(bytes);
        }
    }

    /// Prints the command to type next.
    pub(crate) fn next(self, command: &str) {
        if self.json {
            return;
        }
        let command = one_line(command);
        let (gap, command) = match width_of_stderr() {
            Some(width) if "next: ".len() + command.width() > width => {
                let command = text::wrapped_command(&command, width.saturating_sub(2), 4);
                ("\n  ", command)
            }
            _ => (" ", command),
        };
        let line = match self.colour {
            true => format!("next:{gap}\x1b[1m{command}\x1b[0m"),
            false => format!("next:{gap}{command}"),
        };
        write_to_stderr(&line);
    }

    /// Prints an error.
    pub(crate) fn failure(self, failure: &CommandError) {
        let message = one_line(&quoted(&failure.message()));
        let mut line = wrapped_for_stderr(&format!("error: {message}"));
        if self.colour {
            line = line.replacen("error:", "\x1b[31merror:\x1b[0m", 1);
        }
        write_to_stderr(&line);
        if self.json && !failure.has_result() {
            self.result("", &failure.json());
        } else if let Some(next) = failure.next() {
            self.next(next);
        }
    }
}

/// Prints the help, or a mistake on the command line, with lines that fit the terminal.
pub(crate) fn print_usage(
    usage: &clap::builder::StyledStr,
    is_mistake: bool,
) -> std::io::Result<()> {
    let width = match is_mistake {
        true => width_of_stderr(),
        false => width_of_stdout(),
    };
    let text = match width {
        Some(width) if may_colour() => text::wrapped(&usage.ansi().to_string(), width),
        Some(width) => text::wrapped(&usage.to_string(), width),
        None => usage.to_string(),
    };
    match is_mistake {
        true => std::io::stderr().write_all(text.as_bytes()),
        false => std::io::stdout().write_all(text.as_bytes()),
    }
}

/// A row of a [table](Output::table).
#[derive(Clone, Debug)]
pub(crate) struct Row {
    label: &'static str,
    value: String,
    style: Style,
}

/// The style of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Good,
    Warning,
    Bad,
}

impl Row {
    pub(crate) fn new(label: &'static str, value: impl Into<String>) -> Self {
        Self {
            label,
            value: value.into(),
            style: Style::Plain,
        }
    }

    pub(crate) fn style(mut self, style: Style) -> Self {
        self.style = style;
        self
    }
}

/// Writes a line to standard error. There is no other place to report that this fails.
fn write_to_stderr(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn wrapped_for_stderr(text: &str) -> String {
    match width_of_stderr() {
        Some(width) => text::wrapped(text, width),
        None => text.to_owned(),
    }
}

/// The width of the terminal that messages go to, if it is one.
pub(crate) fn width_of_stderr() -> Option<usize> {
    columns(terminal_size_of(std::io::stderr()))
}

fn width_of_stdout() -> Option<usize> {
    columns(terminal_size_of(std::io::stdout()))
}

fn columns<H>(size: Option<(Width, H)>) -> Option<usize> {
    let (Width(columns), _) = size?;
    (columns > 0).then_some(columns.into())
}

fn table(rows: &[Row], has_colour: bool, columns: Option<usize>) -> String {
    let width = rows.iter().map(|row| row.label.len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut last = "";
    for row in rows {
        let label = if row.label == last { "" } else { row.label };
        last = row.label;
        let mut value = one_line(&quoted(&row.value));
        if let Some(columns) = columns {
            let line = format!("{:width$}  {value}", "");
            let line = text::wrapped_line(&line, columns, width + 2);
            value = line[width + 2..].to_owned();
        }
        let colour = match row.style {
            Style::Plain => "",
            Style::Good => "\x1b[32m",
            Style::Warning => "\x1b[33m",
            Style::Bad => "\x1b[31m",
        };
        text += &match has_colour {
            true => format!("\x1b[1m{label:width$}\x1b[0m  {colour}{value}\x1b[0m\n"),
            false => format!("{label:width$}  {value}\n"),
        };
    }
    text
}

/// Whether the terminal, if there is one, shows colours, and the person wants them.
fn may_colour() -> bool {
    let is_wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    is_wanted && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// A text of a server as part of a line: one line itself, and shortened.
pub(crate) fn quoted(text: &str) -> String {
    const MAX_LENGTH: usize = 1_000;
    let line = one_line(text);
    match line.char_indices().nth(MAX_LENGTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The text without characters that control a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| is_printable(*c)).collect()
}

/// The same JSON, with control characters escaped.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if is_printable(c) {
            escaped.push(c);
        } else {
            // All of them have at most four digits.
            escaped += &format!("\\u{:04x}", u32::from(c));
        }
    }
    escaped
}

/// Whether it is neither a control character, except a line break, nor a bidirectional control
/// character.
fn is_printable(c: char) -> bool {
    match c {
        '\n' => true,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => false,
        c => !c.is_control(),
    }
}

/// What a server sent, as JSON to print. A part of it that fits no [`Value`], such as the number `1e400`, is null;
/// `json!` would panic.
pub(crate) fn shown_json(sent: &impl Serialize) -> Value {
    let text = serde_json::to_string(sent).unwrap_or_default();
    lossy_json(&text).unwrap_or_default()
}

/// A readable duration.
pub(crate) fn duration(time: Duration) -> String {
    match time.as_secs() {
        0..=99 => format!("{} s", time.as_secs_f64().ceil()),
        100..=5_999 => format!("{} min", time.as_secs().div_ceil(60)),
        seconds => format!("{:.1} h", seconds as f64 / 3_600.0),
    }
}

/// An address of a server, if it is an http or https link.
pub(crate) fn link(url: &str) -> Option<String> {
    let lower = url.trim_start().to_ascii_lowercase();
    (lower.starts_with("https://") || lower.starts_with("http://")).then(|| one_line(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_removed_or_escaped() {
        let tricks = "\u{1b}\u{7}\u{8}\r\t\u{0}\u{7f}\u{9b}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\
                      \u{202a}\u{202e}\u{2066}\u{2069}";
        for trick in tricks.chars() {
            assert_eq!(printable(&format!("a{trick}b")), "ab", "{trick:?}");
            let json = escaped(&Value::from(format!("a{trick}b")).to_string());
            assert!(
                json.is_ascii() && !json.contains(char::is_control),
                "{json:?}"
            );
            let back: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(back, format!("a{trick}b"));
        }
        let words = "Grüße, 日本語, שלום\n🙂";
        assert_eq!(printable(words), words);
    }

    #[test]
    fn server_text_is_one_bounded_line() {
        assert_eq!(quoted("T\nnext: curl evil"), "T next: curl evil");
        assert_eq!(quoted(&"é".repeat(5_000)), "é".repeat(1_000) + "…");
    }

    #[test]
    fn table_is_aligned_and_coloured() {
        let rows = [
            Row::new("server", "https://b.test"),
            Row::new("warning", "one\u{1b}[7m\nnext: curl evil").style(Style::Warning),
            Row::new("warning", "two").style(Style::Bad),
        ];
        assert_eq!(
            table(&rows, false, None),
            "server   https://b.test\nwarning  one[7m next: curl evil\n         two\n"
        );
        let coloured = table(&rows, true, None);
        assert!(
            coloured.contains("\u{1b}[33mone[7m next: curl evil\u{1b}[0m\n"),
            "{coloured:?}"
        );
        assert!(coloured.contains("\u{1b}[31mtwo"), "{coloured:?}");
        let narrow = table(&rows[..2], false, Some(20));
        assert_eq!(
            narrow,
            "server   https://b.test\nwarning  one[7m\n         next: curl\n         evil\n"
        );
    }

    #[test]
    fn only_web_pages_are_links() {
        for url in ["https://b.test/terms", "http://b.test", "HTTPS://b.test"] {
            assert_eq!(link(url).as_deref(), Some(url));
        }
        for url in [
            "file:///etc/passwd",
            "javascript:alert(1)",
            "data:,x",
            "b.test",
            "",
            "httpsx://b",
        ] {
            assert_eq!(link(url), None, "{url}");
        }
        assert_eq!(
            link("https://b.test/\u{1b}]8;;x").as_deref(),
            Some("https://b.test/]8;;x")
        );
    }
}
