//! Splits a list into records and fields, as RFC 4180 has them.
//!
//! Unlike most readers of CSV, it does not guess what a misplaced quote means: a quote that is never
//! closed would swallow the rows after it.

use std::{iter::Peekable, str::Chars};

use matricula_admin::bulk::RowError;

/// A record, usually a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Where it starts, from 1.
    pub(super) line: u64,
    pub(super) fields: Vec<String>,
}

impl Record {
    /// Whether nothing is in it, as in the lines that spreadsheets add at the end.
    fn is_blank(&self) -> bool {
        self.fields.iter().all(|field| field.trim().is_empty())
    }
}

/// What ends a field.
enum End {
    Field,
    Record,
    Text,
}

/// Reads records. Blank ones are left out.
pub(super) struct Records<'a> {
    text: Peekable<Chars<'a>>,
    delimiter: char,
    line: u64,
    is_over: bool,
}

impl<'a> Records<'a> {
    /// Reads a text that starts at this line.
    pub(super) fn new(text: &'a str, line: u64, delimiter: char) -> Self {
        Self {
            text: text.chars().peekable(),
            delimiter,
            line,
            is_over: false,
        }
    }

    /// What separates fields.
    pub(super) fn delimiter(&self) -> char {
        self.delimiter
    }

    fn record(&mut self) -> Result<Record, RowError> {
        let mut record = Record {
            line: self.line,
            fields: Vec::new(),
        };
        loop {
            let (field, end) = self.field()?;
            record.fields.push(field);
            match end {
                End::Field => {}
                End::Record => return Ok(record),
                End::Text => {
                    self.is_over = true;
                    return Ok(record);
                }
            }
        }
    }

    fn field(&mut self) -> Result<(String, End), RowError> {
        if self.text.next_if_eq(&'"').is_some() {
            return self.quoted_field();
        }
        let mut field = String::new();
        loop {
            if let Some(end) = self.end() {
                return Ok((field, end));
            }
            match self.text.next() {
                // A quote within a text is one. After spaces, it may be meant to open the cell.
                Some('"') if field.trim().is_empty() => {
                    let message = "spaces stand before the quote of a cell; remove them";
                    return Err(RowError::new(self.line, message));
                }
                Some(c) => field.push(c),
                None => return Ok((field, End::Text)),
            }
        }
    }

    fn quoted_field(&mut self) -> Result<(String, End), RowError> {
        let opened = self.line;
        let mut field = String::new();
        loop {
            if self.line_break() {
                field.push('\n');
                continue;
            }
            match self.text.next() {
                Some('"') if self.text.next_if_eq(&'"').is_some() => field.push('"'),
                Some('"') => break,
                Some(c) => field.push(c),
                None => {
                    let message = "a quote is opened here, and never closed";
                    return Err(RowError::new(opened, message));
                }
            }
        }
        match self.end() {
            Some(end) => Ok((field, end)),
            None if self.text.peek().is_none() => Ok((field, End::Text)),
            None => {
                let closed = match self.line {
                    line if line == opened => String::new(),
                    line => format!(", in line {line}"),
                };
                let message = format!(
                    "text follows the closing quote of a cell that is opened here{closed}; a quote \
                     within a quoted cell is written twice"
                );
                Err(RowError::new(opened, message))
            }
        }
    }

    /// Takes the delimiter or line break that comes next, if one does.
    fn end(&mut self) -> Option<End> {
        if self.text.next_if_eq(&self.delimiter).is_some() {
            return Some(End::Field);
        }
        self.line_break().then_some(End::Record)
    }

    fn line_break(&mut self) -> bool {
        let is_break = if self.text.next_if_eq(&'\r').is_some() {
            self.text.next_if_eq(&'\n');
            true
        } else {
            self.text.next_if_eq(&'\n').is_some()
        };
        self.line += u64::from(is_break);
        is_break
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.is_over |= self.text.peek().is_none();
            if self.is_over {
                return None;
            }
            match self.record() {
                Ok(record) if record.is_blank() => {}
                Ok(record) => return Some(Ok(record)),
                Err(error) => {
                    // Where the next record starts is not known.
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
    }
}
