//! The commands of a script as a shell chains them, and the steps that they make.

use crate::base::Duration;
use crate::model::{ScriptAction, ScriptNext, ScriptStep};

/// Chains, one after another.
pub(super) type List = Vec<Chain>;

/// Commands joined by `&&` and `||`.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub words: Vec<Word>,
    /// Whether the script stops if it fails.
    pub stops: bool,
}

/// A command of a chain.
#[derive(Debug)]
pub(super) struct Word {
    /// Whether `&&` stands before it, not `||`; means nothing for the first.
    pub joined_by_and: bool,
    /// `!`.
    pub is_negated: bool,
    pub what: Do,
}

/// What a command does.
#[derive(Debug)]
pub(super) enum Do {
    /// A line of kubectl's, by its place.
    Line(usize),
    Sleep(Duration),
    /// Nothing, and whether that goes well.
    Nothing(bool),
    /// `exit`, with a status.
    Exit(Option<u8>),
    /// A condition, what is done if it holds, and if not.
    If(List, List, List),
}

/// What follows if a command goes well, and if not.
#[derive(Clone, Copy)]
struct Follows {
    then: ScriptNext,
    otherwise: ScriptNext,
    /// Whether the script asks how it went.
    is_asked: bool,
}

/// Steps, and the first of them. They are made from the last to the first, so that each knows what
/// follows.
pub(super) fn compile(list: &[Chain]) -> (ScriptNext, Vec<ScriptStep>) {
    let mut steps = Steps(Vec::new());
    let end = Follows { then: ScriptNext::End(0), otherwise: ScriptNext::End(1), is_asked: false };
    let first = steps.list(list, end);
    (first, steps.0)
}

struct Steps(Vec<ScriptStep>);

impl Steps {
    /// The first step of a list; how its last chain goes is how it goes.
    fn list(&mut self, list: &[Chain], follows: Follows) -> ScriptNext {
        let mut next = follows.then;
        for (place, chain) in list.iter().enumerate().rev() {
            let is_last = place + 1 == list.len();
            let own = match is_last {
                true => follows,
                false => Follows { then: next, otherwise: next, is_asked: false },
            };
            next = self.chain(chain, own);
        }
        next
    }

    fn chain(&mut self, chain: &Chain, follows: Follows) -> ScriptNext {
        let mut starts = vec![follows.then; chain.words.len()];
        for (place, word) in chain.words.iter().enumerate().rev() {
            let later = |by_and: bool| {
                let mut words = chain.words.iter().enumerate().skip(place + 1);
                words.find(|(_, word)| word.joined_by_and == by_and).map(|(later, _)| starts[later])
            };
            let is_last = place + 1 == chain.words.len();
            let stops = chain.stops && is_last && !word.is_negated && !follows.is_asked;
            let failed = if stops { ScriptNext::End(1) } else { follows.otherwise };
            let (then, otherwise) =
                (later(true).unwrap_or(follows.then), later(false).unwrap_or(failed));
            let is_asked = follows.is_asked || word.is_negated || later(false).is_some();
            let own = match word.is_negated {
                true => Follows { then: otherwise, otherwise: then, is_asked },
                false => Follows { then, otherwise, is_asked },
            };
            starts[place] = self.word(&word.what, own);
        }
        starts.first().copied().unwrap_or(follows.then)
    }

    fn word(&mut self, what: &Do, follows: Follows) -> ScriptNext {
        let action = match what {
            Do::Line(line) => ScriptAction::Entry(u32::try_from(*line).unwrap_or(u32::MAX)),
            Do::Sleep(length) => ScriptAction::Sleep(*length),
            Do::Nothing(true) => return follows.then,
            Do::Nothing(false) => return follows.otherwise,
            Do::Exit(status) => return ScriptNext::End(status.unwrap_or(0)),
            Do::If(asked, then, otherwise) => {
                let then = self.list(then, follows);
                let otherwise = self.list(otherwise, follows);
                return self.list(asked, Follows { then, otherwise, is_asked: true });
            }
        };
        let Follows { then, otherwise, is_asked } = follows;
        let place = ScriptNext::Step(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        self.0.push(ScriptStep { action, then, otherwise, is_asked });
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(place: usize) -> Word {
        Word { joined_by_and: true, is_negated: false, what: Do::Line(place) }
    }

    /// The lines that run if those named fail, and the status at the end.
    fn runs(list: &[Chain], failing: &[u32]) -> (Vec<u32>, u8) {
        let (mut next, steps) = compile(list);
        let mut ran = Vec::new();
        loop {
            let step = match next {
                ScriptNext::End(status) => return (ran, status),
                ScriptNext::Step(step) => &steps[step as usize],
            };
            let ScriptAction::Entry(line) = step.action else { panic!("{step:?}") };
            ran.push(line);
            next = if failing.contains(&line) { step.otherwise } else { step.then };
        }
    }

    #[test]
    fn chains_and_conditions() {
        let or = |place| Word { joined_by_and: false, ..line(place) };
        // 0 && 1 || 2; 3
        let chain = Chain { words: vec![line(0), line(1), or(2)], stops: true };
        let list = vec![chain, Chain { words: vec![line(3)], stops: true }];
        assert_eq!(runs(&list, &[]), (vec![0, 1, 3], 0));
        assert_eq!(runs(&list, &[0]), (vec![0, 2, 3], 0));
        assert_eq!(runs(&list, &[1]), (vec![0, 1, 2, 3], 0));
        assert_eq!(runs(&list, &[0, 2]), (vec![0, 2], 1), "set -e");
        // if ! 0; then 1; exit 3; fi; 2
        let asked = Chain { words: vec![Word { is_negated: true, ..line(0) }], stops: true };
        let exit = Word { what: Do::Exit(Some(3)), ..line(0) };
        let then = vec![
            Chain { words: vec![line(1)], stops: true },
            Chain { words: vec![exit], stops: true },
        ];
        let condition = Word { what: Do::If(vec![asked], then, Vec::new()), ..line(0) };
        let list = vec![
            Chain { words: vec![condition], stops: true },
            Chain { words: vec![line(2)], stops: true },
        ];
        assert_eq!(runs(&list, &[]), (vec![0, 2], 0));
        assert_eq!(runs(&list, &[0]), (vec![0, 1], 3));
        assert_eq!(runs(&list, &[0, 1]), (vec![0, 1], 1), "set -e within the branch");
        // Without set -e it goes on.
        let list = vec![
            Chain { words: vec![line(0)], stops: false },
            Chain { words: vec![line(1)], stops: false },
        ];
        assert_eq!(runs(&list, &[0]), (vec![0, 1], 0));
        assert_eq!(runs(&list, &[0, 1]), (vec![0, 1], 1));
    }
}
