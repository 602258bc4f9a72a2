//! Regular expressions as Go's `regexp` reads them (RE2): whether any part of a text matches.
//!
//! ```text
//! text ─► parser ─► program: One · Split · Go · Hold · Match ─► all threads at once, character by character
//! ```
//!
//! The time is bounded by the length of the text times that of the program. Differs: classes by
//! Unicode names (`\pL`) and flags in the middle of a pattern other than `i` and `s` are refused.

use std::iter::Peekable;
use std::str::Chars;

/// How often a repetition may be asked for, as in RE2.
const REPEAT_MAX: usize = 1_000;
/// No program is longer than this.
const PROGRAM_MAX: usize = 50_000;

/// A pattern, ready to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Op>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Op {
    /// Takes one character of the class.
    One(Class),
    /// Goes on at both places.
    Split(usize, usize),
    Go(usize),
    /// Goes on if the place in the text is such.
    Hold(At),
    Match,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Start,
    End,
    Word(bool),
}

/// Ranges of characters; all others if it is turned round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Class {
    ranges: Vec<(char, char)>,
    is_negated: bool,
    ignores_case: bool,
}

impl Class {
    fn of(ranges: &[(char, char)]) -> Self {
        Self { ranges: ranges.to_vec(), ..Self::default() }
    }

    fn holds(&self, c: char) -> bool {
        let is_in = |c: char| self.ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
        let folded =
            self.ignores_case && (c.to_lowercase().any(is_in) || c.to_uppercase().any(is_in));
        (is_in(c) || folded) != self.is_negated
    }
}

/// A part of a pattern.
#[derive(Clone, Debug)]
enum Part {
    One(Class),
    Hold(At),
    Row(Vec<Self>),
    Choice(Vec<Self>),
    Repeat(Box<Self>, usize, Option<usize>),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in a fragment.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser =
            Parser { rest: text.chars().peekable(), ignores_case: false, dot_all: false };
        let part = parser.choice()?;
        if parser.rest.next().is_some() {
            return Err("unexpected ')'".to_owned());
        }
        let mut program = Self(Vec::new());
        program.emit(&part)?;
        program.0.push(Op::Match);
        Ok(program)
    }

    /// Whether any part of the text matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let mut threads = Vec::new();
        for at in 0..=text.len() {
            let mut seen = vec![false; self.0.len()];
            let mut all = Vec::new();
            for from in std::mem::take(&mut threads).into_iter().chain([0]) {
                if self.follow(from, (&text, at), &mut seen, &mut all) {
                    return true;
                }
            }
            let Some(c) = text.get(at) else { break };
            let takes = |op: &&usize| matches!(&self.0[**op], Op::One(class) if class.holds(*c));
            threads = all.iter().filter(takes).map(|op| op + 1).collect();
        }
        false
    }

    /// Adds the places that take a character and can be come to; whether one of them is the end.
    fn follow(
        &self,
        from: usize,
        (text, at): (&[char], usize),
        seen: &mut [bool],
        all: &mut Vec<usize>,
    ) -> bool {
        let mut open = vec![from];
        while let Some(op) = open.pop() {
            if std::mem::replace(&mut seen[op], true) {
                continue;
            }
            match &self.0[op] {
                Op::One(_) => all.push(op),
                Op::Split(a, b) => open.extend([*b, *a]),
                Op::Go(to) => open.push(*to),
                Op::Hold(place) if place.holds(text, at) => open.push(op + 1),
                Op::Hold(_) => {}
                Op::Match => return true,
            }
        }
        false
    }

    fn emit(&mut self, part: &Part) -> Result<(), String> {
        if self.0.len() > PROGRAM_MAX {
            return Err("expression too large".to_owned());
        }
        match part {
            Part::One(class) => self.0.push(Op::One(class.clone())),
            Part::Hold(at) => self.0.push(Op::Hold(*at)),
            Part::Row(parts) => parts.iter().try_for_each(|part| self.emit(part))?,
            Part::Choice(parts) => self.emit_choice(parts)?,
            Part::Repeat(part, least, most) => self.emit_repeat(part, *least, *most)?,
        }
        Ok(())
    }

    fn emit_choice(&mut self, parts: &[Part]) -> Result<(), String> {
        let Some((last, others)) = parts.split_last() else { return Ok(()) };
        let mut ends = Vec::new();
        for part in others {
            let split = self.hole();
            self.emit(part)?;
            ends.push(self.hole());
            self.0[split] = Op::Split(split + 1, self.0.len());
        }
        self.emit(last)?;
        let end = self.0.len();
        ends.into_iter().for_each(|hole| self.0[hole] = Op::Go(end));
        Ok(())
    }

    fn emit_repeat(
        &mut self,
        part: &Part,
        least: usize,
        most: Option<usize>,
    ) -> Result<(), String> {
        (0..least).try_for_each(|_| self.emit(part))?;
        let Some(most) = most else {
            let split = self.hole();
            self.emit(part)?;
            self.0.push(Op::Go(split));
            self.0[split] = Op::Split(split + 1, self.0.len());
            return Ok(());
        };
        let mut holes = Vec::new();
        for _ in least..most {
            holes.push(self.hole());
            self.emit(part)?;
        }
        let end = self.0.len();
        holes.into_iter().for_each(|hole| self.0[hole] = Op::Split(hole + 1, end));
        Ok(())
    }

    fn hole(&mut self) -> usize {
        self.0.push(Op::Match);
        self.0.len() - 1
    }
}

impl At {
    fn holds(self, text: &[char], at: usize) -> bool {
        let is_word = |at: Option<usize>| {
            let c = at.and_then(|at| text.get(at));
            c.is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_')
        };
        match self {
            Self::Start => at == 0,
            Self::End => at == text.len(),
            Self::Word(wanted) => (is_word(at.checked_sub(1)) != is_word(Some(at))) == wanted,
        }
    }
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    ignores_case: bool,
    dot_all: bool,
}

impl Parser<'_> {
    fn choice(&mut self) -> Result<Part, String> {
        let mut parts = vec![self.row()?];
        while self.rest.next_if_eq(&'|').is_some() {
            parts.push(self.row()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Part::Choice(parts) })
    }

    fn row(&mut self) -> Result<Part, String> {
        let mut parts = Vec::new();
        while let Some(c) = self.rest.next_if(|c| !matches!(c, '|' | ')')) {
            let part = self.atom(c)?;
            parts.push(self.repeated(part)?);
        }
        Ok(Part::Row(parts))
    }

    /// What follows an atom: `* + ? {n,m}`, and a `?` that changes nothing here.
    fn repeated(&mut self, mut part: Part) -> Result<Part, String> {
        loop {
            let (least, most) = match self.rest.peek() {
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('?') => (0, Some(1)),
                Some('{') => match self.counts()? {
                    Some(counts) => counts,
                    None => return Ok(part),
                },
                _ => return Ok(part),
            };
            self.rest.next();
            self.rest.next_if_eq(&'?');
            part = Part::Repeat(Box::new(part), least, most);
        }
    }

    /// The numbers of `{n}`, `{n,}`, `{n,m}`, before the last brace; `None`: it is a brace as such.
    fn counts(&mut self) -> Result<Option<(usize, Option<usize>)>, String> {
        let mut ahead = self.rest.clone();
        ahead.next();
        let mut text = String::new();
        while let Some(c) = ahead.next_if(|c| c.is_ascii_digit() || *c == ',') {
            text.push(c);
        }
        if ahead.peek() != Some(&'}') || !text.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(None);
        }
        let wrong = || format!("invalid repeat count: {{{text}}}");
        let number = |text: &str| text.parse::<usize>().map_err(|_| wrong());
        let (least, most) = match text.split_once(',') {
            None => (number(&text)?, Some(number(&text)?)),
            Some((least, "")) => (number(least)?, None),
            Some((least, most)) => (number(least)?, Some(number(most)?)),
        };
        if least.max(most.unwrap_or(0)) > REPEAT_MAX || most.is_some_and(|most| most < least) {
            return Err(wrong());
        }
        self.rest = ahead;
        Ok(Some((least, most)))
    }

    fn atom(&mut self, c: char) -> Result<Part, String> {
        Ok(match c {
            '(' => return self.group(),
            '[' => Part::One(self.class()?),
            '.' => {
                let mut class = Class { is_negated: true, ..Class::of(&[('\n', '\n')]) };
                class.ranges.retain(|_| !self.dot_all);
                Part::One(class)
            }
            '^' => Part::Hold(At::Start),
            '$' => Part::Hold(At::End),
            '\\' => return self.escape(),
            '*' | '+' | '?' => return Err(format!("missing argument to repetition operator: {c}")),
            c => Part::One(self.fold(Class::of(&[(c, c)]))),
        })
    }

    fn fold(&self, class: Class) -> Class {
        Class { ignores_case: self.ignores_case, ..class }
    }

    fn group(&mut self) -> Result<Part, String> {
        let before = (self.ignores_case, self.dot_all);
        if self.rest.next_if_eq(&'?').is_some() && self.head()? {
            return Ok(Part::Row(Vec::new()));
        }
        let part = self.choice()?;
        (self.ignores_case, self.dot_all) = before;
        if self.rest.next() != Some(')') {
            return Err("missing closing )".to_owned());
        }
        Ok(part)
    }

    /// What follows `(?`: a name, or flags; whether that was all of the group.
    fn head(&mut self) -> Result<bool, String> {
        self.rest.next_if_eq(&'P');
        if self.rest.next_if_eq(&'<').is_some() {
            let is_named = self.rest.by_ref().any(|c| c == '>');
            return if is_named { Ok(false) } else { Err("invalid named capture".to_owned()) };
        }
        let mut is_on = true;
        for c in self.rest.by_ref() {
            match c {
                '-' => is_on = false,
                'i' => self.ignores_case = is_on,
                's' => self.dot_all = is_on,
                ':' => return Ok(false),
                ')' => return Ok(true),
                c => return Err(format!("invalid or unsupported Perl syntax: (?{c}")),
            }
        }
        Err("missing closing )".to_owned())
    }

    fn escape(&mut self) -> Result<Part, String> {
        let c = self.rest.next().ok_or("trailing backslash at end of expression")?;
        Ok(match c {
            'A' => Part::Hold(At::Start),
            'z' => Part::Hold(At::End),
            'b' => Part::Hold(At::Word(true)),
            'B' => Part::Hold(At::Word(false)),
            c => Part::One(self.fold(escaped(c)?)),
        })
    }

    fn class(&mut self) -> Result<Class, String> {
        let mut all = self.fold(Class::default());
        all.is_negated = self.rest.next_if_eq(&'^').is_some();
        let mut is_first = true;
        loop {
            let c = self.rest.next().ok_or("missing closing ]")?;
            if c == ']' && !is_first {
                return Ok(all);
            }
            is_first = false;
            let one = match c {
                '[' if self.rest.peek() == Some(&':') => self.named()?,
                '\\' => escaped(self.rest.next().ok_or("missing closing ]")?)?,
                c => Class::of(&[(c, c)]),
            };
            let mut ahead = self.rest.clone();
            let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']');
            match one.ranges[..] {
                [(from, to)] if is_range && from == to && !one.is_negated => {
                    self.rest.next();
                    let end = self.rest.next().unwrap_or(from);
                    let end = match end {
                        '\\' => escaped(self.rest.next().unwrap_or('\\'))?.ranges[0].0,
                        end => end,
                    };
                    if end < from {
                        return Err(format!("invalid character class range: {from}-{end}"));
                    }
                    all.ranges.push((from, end));
                }
                _ => all.ranges.extend(turned(&one)),
            }
        }
    }

    /// `[:alpha:]` and its like, after the first bracket.
    fn named(&mut self) -> Result<Class, String> {
        self.rest.next();
        let name: String = std::iter::from_fn(|| self.rest.next_if(|c| *c != ':')).collect();
        let is_closed = self.rest.next() == Some(':') && self.rest.next() == Some(']');
        let ranges: &[(char, char)] = match name.as_str() {
            "alpha" => &[('A', 'Z'), ('a', 'z')],
            "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
            "digit" => &[('0', '9')],
            "lower" => &[('a', 'z')],
            "upper" => &[('A', 'Z')],
            "space" => &[('\t', '\r'), (' ', ' ')],
            "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
            "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
            "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
            _ => return Err(format!("invalid character class range: [:{name}:]")),
        };
        if is_closed { Ok(Class::of(ranges)) } else { Err("missing closing ]".to_owned()) }
    }
}

/// The ranges of a class, without turning round.
fn turned(class: &Class) -> Vec<(char, char)> {
    if !class.is_negated {
        return class.ranges.clone();
    }
    let mut sorted = class.ranges.clone();
    sorted.sort_unstable();
    let (mut all, mut from) = (Vec::new(), '\0');
    for (low, high) in sorted {
        let before = char::from_u32(u32::from(low).saturating_sub(1));
        all.extend(before.filter(|end| low > from && *end >= from).map(|end| (from, end)));
        from = char::from_u32(u32::from(high) + 1).unwrap_or(char::MAX);
    }
    all.push((from, char::MAX));
    all
}

/// What a letter after a backslash stands for.
fn escaped(c: char) -> Result<Class, String> {
    let digits = [('0', '9')];
    let words = [('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
    let spaces = [('\t', '\n'), ('\u{c}', '\r'), (' ', ' ')];
    let not = |ranges: &[(char, char)]| Class { is_negated: true, ..Class::of(ranges) };
    Ok(match c {
        'd' => Class::of(&digits),
        'D' => not(&digits),
        'w' => Class::of(&words),
        'W' => not(&words),
        's' => Class::of(&spaces),
        'S' => not(&spaces),
        'n' => Class::of(&[('\n', '\n')]),
        't' => Class::of(&[('\t', '\t')]),
        'r' => Class::of(&[('\r', '\r')]),
        c if c.is_ascii_alphanumeric() => return Err(format!("invalid escape sequence: \\{c}")),
        c => Class::of(&[(c, c)]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule A152: patterns match anywhere unless they are anchored.
    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, text, wanted) in [
            ("gpu.*", "a-gpu-1", true),
            ("^gpu", "a-gpu-1", false),
            ("^general-2$", "general-2", true),
            ("^general-2$", "general-22", false),
            (".*-[1-3]$", "spot-2", true),
            ("a+b?c|spot", "aac", true),
            ("nothing", "spot", false),
            ("", "spot", true),
            ("^(spot|cheap)-(m|c)[0-9]+$", "cheap-m12", true),
            ("^(spot|cheap)-(m|c)[0-9]+$", "cheap-r12", false),
            ("^(?:ab){2,3}$", "ababab", true),
            ("^(?:ab){2,3}$", "ab", false),
            ("^a{,2}$", "a{,2}", true),
            ("(?i)SPOT", "my-spot", true),
            ("(?P<zone>[^-]+)-b\\b", "eu-b", true),
            ("^[[:alpha:]]\\d\\.x$", "m5.x", true),
            ("^[\\w-]*$", "m5_x-1", true),
            ("^[^\\d]+$", "m5", false),
            ("^(a*)*$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", false),
            ("x*?y", "y", true),
            ("[]a]+", "]", true),
            ("\\Aa|b\\z", "cb", true),
        ] {
            let read = Pattern::parse(pattern).unwrap_or_else(|why| panic!("{pattern}: {why}"));
            assert_eq!(read.is_match(text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for pattern in ["(", ")", "[a", "*a", "a{2,1}", "\\", "[b-a]", "(?=a)", "\\y", "a{1001}"] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
