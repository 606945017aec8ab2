//! All templates of one sender, and the few of them that a text can keep to.
//!
//! Owns the search: each template waits at an anchor, the fixed text that it shares with the
//! fewest others; one pass over the text finds the anchors in it, and only their templates are
//! looked at: head, tail, fixed texts in order, and then piece by piece.

use std::collections::HashMap;
use std::ops::Range;

use aho_corasick::AhoCorasick;

use super::matching::{Progress, Subject};
use super::{Piece, Template, Variable};
use crate::rules::Class;
use crate::rules::signature::signatures;

/// How many templates are matched piece by piece against one text: bounds what a spiteful register costs.
const MOST_TRIED: usize = 256;
/// How many are asked how far they go along with a text that keeps to none.
const MOST_NEAR: usize = 16;
/// How many templates may have the same fixed texts and differ in their variables only.
pub(super) const MOST_ALIKE: usize = 32;

/// The templates that a sender has filed.
#[derive(Debug)]
pub struct Templates {
    all: Vec<Template>,
    anchors: AhoCorasick,
    /// The templates that wait at each anchor.
    waiting: Vec<Vec<usize>>,
    /// All of them by their beginning, to find neighbours.
    by_beginning: Vec<usize>,
}

/// The template that a text keeps to.
#[derive(Clone, Debug)]
pub struct Kept<'r, 't> {
    /// Its id.
    pub id: &'r str,
    /// What its messages are, where the filing says so.
    pub class: Option<Class>,
    /// The text without the signature.
    pub body: &'t str,
    /// Where in the body a variable stands whose content can say something in words.
    pub wordy: Vec<Range<usize>>,
}

/// The template that came nearest, and where it differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nearest<'r> {
    /// Its id.
    pub id: &'r str,
    /// What it has where the text differs; never the text, which may hold a password.
    pub difference: String,
}

/// What a text comes to.
#[derive(Clone, Debug)]
pub enum Outcome<'r, 't> {
    /// It keeps to a template.
    Kept(Kept<'r, 't>),
    /// It keeps to none.
    Stray(Option<Nearest<'r>>),
}

impl Templates {
    /// Makes templates searchable; the error is one for a register's reader.
    pub fn new(all: Vec<Template>) -> Result<Self, String> {
        check_alike(&all)?;
        let mut shared: HashMap<&str, usize> = HashMap::new();
        for text in all.iter().flat_map(Template::fixed) {
            *shared.entry(text).or_default() += 1;
        }
        let mut places: HashMap<&str, usize> = HashMap::new();
        let (mut anchors, mut waiting) = (Vec::new(), Vec::<Vec<usize>>::new());
        for (index, template) in all.iter().enumerate() {
            let anchor = template.fixed().filter(|text| text.chars().nth(1).is_some());
            let anchor = anchor.min_by_key(|text| (shared.get(text), std::cmp::Reverse(text.len())));
            let anchor = anchor.unwrap_or_default();
            let place = *places.entry(anchor).or_insert_with(|| {
                anchors.push(anchor);
                waiting.push(Vec::new());
                waiting.len() - 1
            });
            waiting[place].push(index);
        }
        let anchors = AhoCorasick::new(&anchors).map_err(|error| format!("cannot be made searchable: {error}"))?;
        let mut by_beginning: Vec<usize> = (0..all.len()).collect();
        by_beginning.sort_by_key(|&index| beginning(&all[index]));
        Ok(Self { anchors, waiting, by_beginning, all })
    }

    /// Every template.
    pub fn all(&self) -> &[Template] {
        &self.all
    }

    /// Finds the template that a text keeps to. Its signature, at the head or at the tail, belongs to the
    /// template only where the template was filed with one.
    pub fn judge<'r, 't>(&'r self, text: &'t str) -> Outcome<'r, 't> {
        let label = signatures(text).label;
        let name = label.map(|label| label.name);
        let body = label.map_or(text, |label| label.rest).trim_ascii();
        let subject = Subject::new(body);
        let mut near: Vec<(Progress, usize)> = Vec::new();
        let mut tried = 0;
        for index in self.candidates(body) {
            let template = &self.all[index];
            if template.signature.as_deref().is_some_and(|own| Some(own) != name) || !agrees(template, body) {
                continue;
            }
            tried += 1;
            match subject.keep_to(template) {
                Ok(spans) => {
                    let wordy = spans.into_iter().filter(|(variable, _)| variable.shape.is_wordy());
                    let wordy = wordy.map(|(_, span)| span).collect();
                    return Outcome::Kept(Kept { id: &template.id, class: template.class, body, wordy });
                }
                Err(progress) => near.push((progress, index)),
            }
            if tried == MOST_TRIED {
                break;
            }
        }
        Outcome::Stray(self.nearest(&subject, body, name, near))
    }

    /// The templates whose anchor stands in the text.
    fn candidates<'s>(&'s self, text: &'s str) -> impl Iterator<Item = usize> + 's {
        let mut seen = vec![0_u64; self.waiting.len().div_ceil(64)];
        let found = self.anchors.find_overlapping_iter(text).filter_map(move |found| {
            let place = found.pattern().as_usize();
            let known = seen[place / 64] & (1 << (place % 64)) != 0;
            seen[place / 64] |= 1 << (place % 64);
            (!known).then_some(place)
        });
        found.flat_map(|place| self.waiting[place].iter().copied())
    }

    /// The template that goes furthest along with a text: of those that were tried, of those whose anchor
    /// stands in it, and of its neighbours by beginning.
    fn nearest(
        &self,
        subject: &Subject<'_>,
        body: &str,
        name: Option<&str>,
        mut near: Vec<(Progress, usize)>,
    ) -> Option<Nearest<'_>> {
        let at = self.by_beginning.partition_point(|&index| beginning(&self.all[index]) < body);
        let neighbours = self.by_beginning[at.saturating_sub(2)..].iter().take(4).copied();
        for index in neighbours.chain(self.candidates(body)).take(MOST_NEAR) {
            let template = &self.all[index];
            if near.iter().all(|(_, known)| *known != index) {
                match subject.keep_to(template) {
                    Err(progress) => near.push((progress, index)),
                    // All of it fits, so it was the signature that did not.
                    Ok(_) => return Some(Nearest { id: &template.id, difference: other_signature(template, name) }),
                }
            }
        }
        let (progress, index) =
            near.into_iter().max_by_key(|&(progress, index)| (progress, std::cmp::Reverse(index)))?;
        let template = &self.all[index];
        Some(Nearest { id: &template.id, difference: difference(template, progress) })
    }
}

/// What is quick to tell: head, tail, and the fixed texts one behind the other.
fn agrees(template: &Template, body: &str) -> bool {
    let (head, tail) = template.ends();
    if head.is_some_and(|head| !body.starts_with(head)) || tail.is_some_and(|tail| !body.ends_with(tail)) {
        return false;
    }
    let mut rest = body;
    template.fixed().all(|text| {
        let found = rest.find(text);
        rest = found.map_or("", |at| &rest[at + text.len()..]);
        found.is_some()
    })
}

fn beginning(template: &Template) -> &str {
    template.ends().0.unwrap_or_default()
}

/// Templates that nothing but their variables tells apart could all have to be tried.
fn check_alike(all: &[Template]) -> Result<(), String> {
    let mut alike: HashMap<Vec<&str>, usize> = HashMap::new();
    for template in all {
        let count = alike.entry(template.fixed().collect()).or_default();
        *count += 1;
        if *count > MOST_ALIKE {
            let why = "have the same fixed text as this one; put their variables into one";
            return Err(format!("template {:?}: {MOST_ALIKE} others {why}", template.id));
        }
    }
    Ok(())
}

fn other_signature(template: &Template, name: Option<&str>) -> String {
    let own = template.signature.as_deref().unwrap_or_default();
    match name {
        Some(name) => format!("is filed with the signature {own}, not {name}"),
        None => format!("is filed with the signature {own}"),
    }
}

/// What the template has at the place where the text differs; characters are counted without the signature.
fn difference(template: &Template, progress: Progress) -> String {
    let place = progress.characters + 1;
    let before = progress.piece.checked_sub(1).and_then(|index| template.pieces.get(index));
    match (template.pieces.get(progress.piece), before) {
        (None, _) => format!("ends before character {place}"),
        (Some(Piece::Variable(variable)), _) => format!("has {} at character {place}", content(variable)),
        (Some(Piece::Fixed { text, .. }), Some(Piece::Variable(variable))) => {
            format!("differs at character {place}: “{}” follows {}", shown(text), content(variable))
        }
        (Some(Piece::Fixed { text, .. }), _) => format!("differs at character {place}, within “{}”", shown(text)),
    }
}

/// `4 to 6 digits`
fn content(variable: &Variable) -> String {
    let (least, most, name) = (variable.least, variable.most, variable.shape.name());
    match (variable.shape.has_length(), least == most) {
        (false, _) => name.to_owned(),
        (true, true) => format!("{most} {name}"),
        (true, false) => format!("{least} to {most} {name}"),
    }
}

fn shown(text: &str) -> String {
    let shown: String = text.chars().take(20).collect();
    if shown.len() < text.len() { format!("{shown}…") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn templates(texts: &[&str]) -> Templates {
        let all = texts.iter().enumerate();
        let all = all.map(|(index, text)| Template::parse(&format!("T{index}"), None, text).unwrap());
        Templates::new(all.collect()).unwrap()
    }

    fn kept<'r>(templates: &'r Templates, text: &str) -> Result<&'r str, Option<String>> {
        match templates.judge(text) {
            Outcome::Kept(kept) => Ok(kept.id),
            Outcome::Stray(nearest) => Err(nearest.map(|near| format!("{} {}", near.id, near.difference))),
        }
    }

    #[test]
    fn the_signature_stands_outside_or_inside() {
        let outside = templates(&["您的验证码是${code:digits,6}。"]);
        for text in ["【青禾】您的验证码是123456。", "您的验证码是123456。【青禾】", "您的验证码是123456。"]
        {
            assert_eq!(kept(&outside, text), Ok("T0"), "{text}");
        }
        let inside = templates(&["【青禾】您的验证码是${code:digits,6}。"]);
        assert_eq!(kept(&inside, "【青禾】您的验证码是123456。"), Ok("T0"));
        assert_eq!(kept(&inside, "您的验证码是123456。【青禾】"), Ok("T0"));
        let other = kept(&inside, "【云帆】您的验证码是123456。");
        assert_eq!(other, Err(Some("T0 is filed with the signature 青禾, not 云帆".to_owned())));
        assert_eq!(kept(&inside, "您的验证码是123456。"), Err(Some("T0 is filed with the signature 青禾".to_owned())));
    }

    #[test]
    fn the_nearest_is_named_with_the_place() {
        let all = templates(&[
            "您的验证码是${code:digits,4-6}，请勿泄露",
            "您的包裹${no:code,6-20}已到${p:any,2-30}，请取件",
        ]);
        let near = |text: &str| kept(&all, text).unwrap_err().unwrap();
        assert_eq!(near("【青禾】您的验证码是12，请勿泄露"), "T0 has 4 to 6 digits at character 7");
        assert_eq!(near("您的包裹SF1234567已到南门柜，请取件哦"), "T1 ends before character 23");
        assert_eq!(
            near("您的包裹SF1234567已送到南门"),
            "T1 differs at character 15: “已到” follows 6 to 20 letters, digits or hyphens"
        );
        assert!(near("完全不同的一句话").contains("differs at character 1,"));
    }

    #[test]
    fn one_of_thousands_is_found() {
        let texts: Vec<String> = (0..5_000)
            .map(|n| {
                format!(
                    "尊敬的${{name:chinese,1-8}}，您办理的第{n}号业务${{no:code,4-12}}已受理，请于${{d:date}}前来办理"
                )
            })
            .collect();
        let all = templates(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(kept(&all, "尊敬的王小明，您办理的第4711号业务AB-123456已受理，请于11月30日前来办理"), Ok("T4711"));
        assert!(kept(&all, "尊敬的王小明，您办理的第5711号业务AB-123456已受理，请于11月30日前来办理").is_err());
    }

    #[test]
    fn templates_that_only_variables_tell_apart_are_few() {
        let alike = |count: usize| {
            let all =
                (1..=count).map(|n| Template::parse(&n.to_string(), None, &format!("码${{digits,{n}}}结束")).unwrap());
            Templates::new(all.collect())
        };
        assert!(alike(MOST_ALIKE).is_ok());
        assert!(alike(MOST_ALIKE + 1).is_err());
    }
}
