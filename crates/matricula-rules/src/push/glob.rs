//! [Glob patterns](https://spec.matrix.org/v1.19/appendices/#glob-style-matching), without regard to case.

/// The maximum length of a pattern in characters. The time of a match grows with the lengths of pattern and text
/// multiplied; longer patterns never match.
const MAX_PATTERN: usize = 1_024;

/// A pattern: pieces with any text between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    /// Empty if the pattern is too long.
    pieces: Vec<Vec<Token>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`
    AnyChar,
}

impl Glob {
    pub(super) fn new(pattern: &str) -> Self {
        if pattern.chars().nth(MAX_PATTERN).is_some() {
            return Self { pieces: Vec::new() };
        }
        let token = |char| match char {
            '?' => Token::AnyChar,
            char => Token::Char(char),
        };
        let pattern = pattern.to_lowercase();
        let pieces = pattern.split('*');
        Self {
            pieces: pieces.map(|it| it.chars().map(token).collect()).collect(),
        }
    }

    /// A pattern without wildcards.
    pub(super) fn literal(text: &str) -> Self {
        if text.chars().nth(MAX_PATTERN).is_some() {
            return Self { pieces: Vec::new() };
        }
        let text = text.to_lowercase();
        Self {
            pieces: vec![text.chars().map(Token::Char).collect()],
        }
    }

    /// Whether the whole text matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text = characters(text);
        self.matches_from(&text, 0, |end| end == text.len())
    }

    /// Whether any part of the text matches that begins and ends at a word boundary.
    pub(super) fn matches_words(&self, text: &str) -> bool {
        let text = characters(text);
        let is_word = |char: &char| char.is_ascii_alphanumeric() || *char == '_';
        let is_boundary = |position: usize| {
            let before = position.checked_sub(1).and_then(|it| text.get(it));
            let inside = |char: Option<&char>| char.is_some_and(is_word);
            !(inside(before) && inside(text.get(position)))
        };
        let Some(first) = self.pieces.first() else {
            return false;
        };
        let mut starts = (0..=text.len()).filter(|start| is_boundary(*start));
        if self.pieces.len() == 1 {
            return starts.any(|start| self.matches_from(&text, start, is_boundary));
        }
        // What follows the first piece may be anywhere after it: if it is not there after the leftmost first piece,
        // it is not after a later one.
        let start = starts.find(|start| is_at(first, &text, *start));
        start.is_some_and(|start| self.matches_from(&text, start, is_boundary))
    }

    /// Whether the pattern matches from `start` to an end that `may_end` permits.
    fn matches_from(&self, text: &[char], start: usize, may_end: impl Fn(usize) -> bool) -> bool {
        let Some((first, rest)) = self.pieces.split_first() else {
            return false;
        };
        if !is_at(first, text, start) {
            return false;
        }
        let mut position = start + first.len();
        let Some((last, middle)) = rest.split_last() else {
            return may_end(position);
        };
        for piece in middle {
            match (position..=text.len()).find(|at| is_at(piece, text, *at)) {
                Some(at) => position = at + piece.len(),
                None => return false,
            }
        }
        (position..=text.len()).any(|at| may_end(at + last.len()) && is_at(last, text, at))
    }
}

/// Whether a piece stands at a position of the text.
fn is_at(piece: &[Token], text: &[char], position: usize) -> bool {
    let text = text.get(position..).unwrap_or_default();
    let equal = |(token, char): (&Token, &char)| match token {
        Token::Char(expected) => expected == char,
        Token::AnyChar => true,
    };
    text.len() >= piece.len() && piece.iter().zip(text).all(equal)
}

fn characters(text: &str) -> Vec<char> {
    text.to_lowercase().chars().collect()
}
