//! The form of text: lines that break between words, columns, and counts.

use unicode_width::UnicodeWidthStr;

/// The text with its lines broken between words, so that each fits into `width` columns unless a
/// single word is wider. The rest of a broken line is indented like its beginning.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let lines = text.split('\n').map(|line| {
        let indent = line.len() - line.trim_start_matches(' ').len();
        wrapped_line(line, width, indent)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// One line, broken between words. The rest is indented by `hang` columns.
pub(crate) fn wrapped_line(line: &str, width: usize, hang: usize) -> String {
    broken(line.split(' '), width, hang, "")
}

/// A command to type, broken between its words with the mark of the shell for that.
pub(crate) fn wrapped_command(command: &str, width: usize, hang: usize) -> String {
    broken(shell_words(command).into_iter(), width, hang, " \\")
}

/// The pieces, separated by spaces, in lines of `width` columns. An empty piece is a further space.
fn broken<'a>(
    pieces: impl Iterator<Item = &'a str>,
    width: usize,
    hang: usize,
    mark: &str,
) -> String {
    // Deep indentation would leave no room.
    let hang = if hang * 2 > width { 0 } else { hang };
    let (mut text, mut column, mut gap, mut is_start) = (String::new(), 0, 0, true);
    for piece in pieces {
        if piece.is_empty() {
            gap += 1;
            continue;
        }
        let length = visible_width(piece);
        if !is_start && column + gap + length + mark.width() > width {
            text += mark;
            text.push('\n');
            text += &" ".repeat(hang);
            column = hang;
        } else {
            text += &" ".repeat(gap);
            column += gap;
        }
        text += piece;
        (column, gap, is_start) = (column + length, 1, false);
    }
    text
}

/// The width of a text without the sequences that colour it.
fn visible_width(text: &str) -> usize {
    let (mut width, mut rest) = (0, text);
    while let Some((before, sequence)) = rest.split_once("\u{1b}[") {
        width += before.width();
        rest = match sequence.split_once(|c: char| c.is_ascii_alphabetic()) {
            Some((_, after)) => after,
            None => "",
        };
    }
    width + rest.width()
}

/// The words of a command line, as a shell reads them: a space in quotes is no end of a word.
fn shell_words(command: &str) -> Vec<&str> {
    let (mut words, mut start) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, c) in command.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if !is_quoted => is_escaped = true,
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => {
                words.push(&command[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    words.push(&command[start..]);
    words
}

/// The rows as lines, each column as wide as its widest cell.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let line = |row: &[String; N]| {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            line += cell;
            line += &" ".repeat(width - cell.width() + 2);
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A count with its noun: "1 account", "2 accounts".
pub(crate) fn count(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// A count as the subject of a sentence: "1 account is", "2 accounts are".
pub(crate) fn count_are(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let verb = if number == 1 { "is" } else { "are" };
    format!("{} {verb}", count(number, noun))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        let table = [
            ("one two three", 7, "one two\nthree"),
            ("one two three", 13, "one two three"),
            ("one two three", 1, "one\ntwo\nthree"),
            ("  an indented line", 10, "  an\n  indented\n  line"),
            (
                "https://matrix.example.org/ is long",
                10,
                "https://matrix.example.org/\nis long",
            ),
            ("a  b   c", 80, "a  b   c"),
            ("日本 日本 日本", 9, "日本 日本\n日本"),
            ("first\nsecond line", 6, "first\nsecond\nline"),
            (
                "\u{1b}[1mone\u{1b}[0m \u{1b}[33mtwo\u{1b}[0m",
                7,
                "\u{1b}[1mone\u{1b}[0m \u{1b}[33mtwo\u{1b}[0m",
            ),
            ("", 10, ""),
            ("\n", 10, "\n"),
        ];
        for (text, width, expected) in table {
            assert_eq!(wrapped(text, width), expected, "{text:?} at {width}");
        }
    }

    #[test]
    fn continued_lines_hang() {
        let line = "id    a name of several words";
        assert_eq!(
            wrapped_line(line, 16, 6),
            "id    a name of\n      several\n      words"
        );
        // There is no room for it.
        assert_eq!(wrapped_line("a bb cc", 4, 3), "a bb\ncc");
    }

    #[test]
    fn commands_continue_as_shells_read_them() {
        let command = "matricula login @alice:b.test --home '/tmp/a b'";
        assert_eq!(
            wrapped_command(command, 32, 2),
            "matricula login @alice:b.test \\\n  --home '/tmp/a b'"
        );
        assert_eq!(wrapped_command(command, 100, 2), command);
        assert_eq!(
            wrapped_command(r"a 'it'\''s b' c", 4, 0),
            "a \\\n'it'\\''s b' \\\nc"
        );
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [["*", "@a:b", "x"], [" ", "@alice:b", "y"]].map(|row| row.map(str::to_owned));
        assert_eq!(columns(&rows), ["*  @a:b      x", "   @alice:b  y"]);
        let wide = [["日本", "x"], ["a", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(columns(&wide), ["日本  x", "a"]);
        assert!(columns::<2>(&[]).is_empty());
    }

    #[test]
    fn counts_agree_with_their_nouns() {
        for (number, expected) in [
            (0_u64, "0 rows"),
            (1, "1 row"),
            (2, "2 rows"),
            (21, "21 rows"),
        ] {
            assert_eq!(count(number, "row"), expected);
        }
        assert_eq!(count_are(1_u64, "row"), "1 row is");
        assert_eq!(count_are(2_u64, "row"), "2 rows are");
    }
}
