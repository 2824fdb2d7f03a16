//! The ASCII form of a domain name in any script, as it is asked for in the DNS.

/// A label may not be longer.
const MAX_LABEL: usize = 63;
/// A name may not be longer.
const MAX_NAME: usize = 253;

/// Characters that [UTS 46] refuses, or replaces by others in a way that takes its tables to know: half of
/// a composed character, a variant of another letter, punctuation, a change of the direction. The ranges are
/// coarse. A name with one of them is refused, and can be given in its ASCII form.
///
/// [UTS 46]: https://www.unicode.org/reports/tr46/
const REFUSED: [(char, char); 62] = [
    ('\u{80}', '\u{b6}'),
    ('\u{b8}', '\u{bf}'),
    ('\u{132}', '\u{133}'),
    ('\u{13f}', '\u{140}'),
    ('\u{149}', '\u{149}'),
    ('\u{17f}', '\u{17f}'),
    ('\u{1c4}', '\u{1cc}'),
    ('\u{1f1}', '\u{1f3}'),
    ('\u{2b0}', '\u{36f}'),
    ('\u{374}', '\u{374}'),
    ('\u{37a}', '\u{37a}'),
    ('\u{37e}', '\u{37e}'),
    ('\u{384}', '\u{385}'),
    ('\u{387}', '\u{387}'),
    ('\u{3d0}', '\u{3d6}'),
    ('\u{3f0}', '\u{3f9}'),
    ('\u{587}', '\u{587}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{675}', '\u{678}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{958}', '\u{95f}'),
    ('\u{9dc}', '\u{9df}'),
    ('\u{a33}', '\u{a36}'),
    ('\u{a59}', '\u{a5e}'),
    ('\u{b5c}', '\u{b5d}'),
    ('\u{e33}', '\u{e33}'),
    ('\u{eb3}', '\u{eb3}'),
    ('\u{edc}', '\u{edd}'),
    ('\u{f0c}', '\u{f0c}'),
    ('\u{f43}', '\u{fb9}'),
    ('\u{10a0}', '\u{10ff}'),
    ('\u{1100}', '\u{11ff}'),
    ('\u{13a0}', '\u{13fd}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{1c80}', '\u{1c8f}'),
    ('\u{1d00}', '\u{1dff}'),
    ('\u{1e9a}', '\u{1e9b}'),
    ('\u{1f70}', '\u{1fff}'),
    ('\u{2000}', '\u{25ff}'),
    ('\u{27c0}', '\u{2bff}'),
    ('\u{2c7c}', '\u{2c7d}'),
    ('\u{2d6f}', '\u{2d6f}'),
    ('\u{2e00}', '\u{3004}'),
    ('\u{3008}', '\u{3020}'),
    ('\u{3030}', '\u{303f}'),
    ('\u{3099}', '\u{309f}'),
    ('\u{30ff}', '\u{30ff}'),
    ('\u{3131}', '\u{33ff}'),
    ('\u{a69c}', '\u{a69d}'),
    ('\u{a770}', '\u{a770}'),
    ('\u{a7f2}', '\u{a7f9}'),
    ('\u{ab5c}', '\u{abbf}'),
    ('\u{e000}', '\u{ffff}'),
    ('\u{10000}', '\u{1f2ff}'),
    ('\u{1fb00}', '\u{1ffff}'),
    ('\u{2f800}', '\u{2ffff}'),
    ('\u{32000}', '\u{10ffff}'),
];

/// The name in ASCII and lower case: `München.example` becomes `xn--mnchen-3ya.example`. `None` if it has
/// no such form, or one that this cannot tell. A name in ASCII is not checked further.
pub(crate) fn to_ascii(name: &str) -> Option<String> {
    if name.is_ascii() {
        return Some(name.to_ascii_lowercase());
    }
    let chars = name.chars().filter_map(mapped);
    let name: String = chars.flat_map(char::to_lowercase).collect();
    let labels: Option<Vec<String>> = name.split('.').map(label).collect();
    let name = labels?.join(".");
    (name.len() <= MAX_NAME).then_some(name)
}

/// The character that stands for this one; `None` if it is left out.
fn mapped(c: char) -> Option<char> {
    match c {
        // East Asian keyboards write these.
        '\u{3002}' | '\u{ff0e}' | '\u{ff61}' => Some('.'),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xff01 + u32::from('!')),
        // Invisible, and often copied along with a name.
        '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' => None,
        c => Some(c),
    }
}

fn label(label: &str) -> Option<String> {
    if label.is_ascii() {
        return Some(label.to_owned());
    }
    let is_refused = |c: char| {
        let is_in = |(first, last): &(char, char)| (*first..=*last).contains(&c);
        c.is_whitespace() || c.is_control() || REFUSED.iter().any(is_in)
    };
    // The prefix says that the rest is encoded already.
    if label.starts_with("xn--") || label.chars().any(is_refused) {
        return None;
    }
    let encoded = format!("xn--{}", punycode(label)?);
    (encoded.len() <= MAX_LABEL).then_some(encoded)
}

/// The number of digits: a to z, then 0 to 9.
const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;

/// The encoding of [RFC 3492], section 6.3, with its names. `None` if a number becomes too large.
///
/// [RFC 3492]: https://www.rfc-editor.org/rfc/rfc3492
fn punycode(input: &str) -> Option<String> {
    let (mut n, mut delta, mut bias) = (128_u32, 0_u32, 72_u32);
    let mut output: String = input.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(output.len()).ok()?;
    let mut handled = basic;
    if basic > 0 {
        output.push('-');
    }
    let code_points = || input.chars().map(u32::from);
    while let Some(next) = code_points().filter(|code| *code >= n).min() {
        delta = (next - n).checked_mul(handled + 1)?.checked_add(delta)?;
        n = next;
        for code in code_points() {
            if code < n {
                delta = delta.checked_add(1)?;
            }
            if code == n {
                push_number(&mut output, delta, bias);
                bias = adapt(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.checked_add(1)?;
        n += 1;
    }
    Some(output)
}

/// Writes a number with digits of varying weight.
fn push_number(output: &mut String, number: u32, bias: u32) {
    let digit = |value: u32| char::from_digit((value + 10) % BASE, BASE).unwrap_or_default();
    let mut q = number;
    let mut k = BASE;
    loop {
        let t = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
        if q < t {
            break;
        }
        output.push(digit(t + (q - t) % (BASE - t)));
        q = (q - t) / (BASE - t);
        k += BASE;
    }
    output.push(digit(q));
}

fn adapt(delta: u32, points: u32, is_first: bool) -> u32 {
    let mut delta = delta / if is_first { 700 } else { 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > ((BASE - T_MIN) * T_MAX) / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + 38)
}
