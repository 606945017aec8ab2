//! The filed templates: in the register itself, or, where there are thousands, in files it names.
//!
//! Owns reading `[[template]]` tables and JSON lines, each with its line. What a text may say is
//! told by [`crate::rules::template`].

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::Register;
use crate::document::{self, Complaints, Fault, Section, did_you_mean, unknown_word};
use crate::rules::Class;
use crate::rules::template::{Template, Templates};

/// How many templates one sender may file.
const MOST_TEMPLATES: usize = 20_000;
/// The largest file of templates, in octets.
const LARGEST_FILE: u64 = 64 * 1024 * 1024;

/// The templates read so far, by sender.
#[derive(Default)]
pub(super) struct Filed {
    by_sender: HashMap<usize, Vec<Template>>,
    ids: HashSet<(usize, String)>,
    /// The files they came from beside the register, and what was in them.
    pub(super) files: Vec<PathBuf>,
    pub(super) contents: Vec<String>,
}

/// One template as a JSON line has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    sender: String,
    class: Option<String>,
    text: String,
}

/// Reads the templates of a register that has all its senders.
pub(super) fn read(register: &mut Register, path: &Path, top: &Section<'_, '_>) {
    let mut filed = Filed::default();
    tables(&mut filed, register, top);
    for name in top.strings("templates").unwrap_or_default() {
        let file = path.parent().unwrap_or(Path::new("")).join(name);
        match read_file(&file) {
            Err(why) => top.fault("templates", format!("{} {why}", file.display())),
            Ok(text) => {
                let (faults, warnings) = match file.extension().is_some_and(|extension| extension == "toml") {
                    true => toml_file(&mut filed, register, &file, &text),
                    false => json_lines(&mut filed, register, &file, &text),
                };
                top.complaints().adopt(faults);
                register.warnings.extend(warnings);
                filed.contents.push(text);
            }
        }
        filed.files.push(file);
    }
    finish(register, filed, top);
}

fn read_file(file: &Path) -> Result<String, String> {
    let length = std::fs::metadata(file).map_err(|error| format!("cannot be read: {error}"))?.len();
    if length > LARGEST_FILE {
        return Err(format!("has {length} octets; {LARGEST_FILE} are the most"));
    }
    std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))
}

fn toml_file(filed: &mut Filed, register: &Register, file: &Path, text: &str) -> (Vec<Fault>, Vec<Fault>) {
    let complaints = Complaints::new(file, text);
    let table = document::parse(text, &complaints);
    let top = Section::top(&table, &complaints);
    tables(filed, register, &top);
    top.finish();
    complaints.into_parts()
}

fn tables(filed: &mut Filed, register: &Register, top: &Section<'_, '_>) {
    for section in top.sections("template") {
        let class = section.word("class", &Class::WORDS);
        let (id, sender, text) = (section.required("id"), section.required("sender"), section.required("text"));
        if !(id.is_empty() || sender.is_empty() || text.is_empty()) {
            match filed.add(register, id, sender, class, text) {
                Err((key, why)) => section.fault(key, why),
                Ok(Some(warning)) => section.warn("text", warning),
                Ok(None) => {}
            }
        }
        section.finish();
    }
}

fn json_lines(filed: &mut Filed, register: &Register, file: &Path, text: &str) -> (Vec<Fault>, Vec<Fault>) {
    let (mut faults, mut warnings) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let told = |key: &str, message: String| Fault {
            file: file.to_owned(),
            line: Some(number + 1),
            key: key.to_owned(),
            message,
        };
        match filed.line(register, line) {
            Err((key, why)) => faults.push(told(key, why)),
            Ok(Some(warning)) => warnings.push(told("text", warning)),
            Ok(None) => {}
        }
    }
    (faults, warnings)
}

/// A warning where it can be read, or the key at fault and why.
type Read = Result<Option<String>, (&'static str, String)>;

impl Filed {
    fn line(&mut self, register: &Register, line: &str) -> Read {
        let line: Line = serde_json::from_str(line).map_err(|error| ("", format!("no template: {error}")))?;
        let class = line.class.map(|word| {
            let found = Class::WORDS.iter().find(|(known, _)| *known == word).map(|&(_, class)| class);
            found.ok_or_else(|| ("class", unknown_word(&word, Class::WORDS.iter().map(|row| row.0))))
        });
        if line.id.is_empty() {
            return Err(("id", "must not be empty".to_owned()));
        }
        self.add(register, &line.id, &line.sender, class.transpose()?, &line.text)
    }

    fn add(&mut self, register: &Register, id: &str, sender: &str, class: Option<Class>, text: &str) -> Read {
        let Some(&owner) = register.by_sender_id.get(sender) else {
            let near = did_you_mean(sender, register.senders.iter().map(|sender| sender.id.as_str()));
            let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            return Err(("sender", format!("no sender has the id {sender:?}{hint}")));
        };
        if !self.ids.insert((owner, id.to_owned())) {
            return Err(("id", format!("sender {sender:?} has filed a template {id:?} already")));
        }
        let template = Template::parse(id, class, text).map_err(|why| ("text", why))?;
        let own = &register.senders[owner].signatures;
        let foreign = template.signature().filter(|signature| !own.iter().any(|own| own == signature));
        if let Some(signature) = foreign {
            return Err(("text", format!("has the signature {signature:?}, which is none of sender {sender:?}")));
        }
        let promotes = template.promotes().map(|terms| {
            format!("is not filed as commercial, but its own words promote ({terms}); they will not be held against it")
        });
        let roomy = template.roomy().map(|most| {
            format!("has a variable of any {most} characters, in which any message has room; say its shape, or less")
        });
        let warning = promotes.into_iter().chain(roomy).reduce(|one, other| format!("{one}; it {other}"));
        self.by_sender.entry(owner).or_default().push(template);
        Ok(warning)
    }
}

fn finish(register: &mut Register, filed: Filed, top: &Section<'_, '_>) {
    let key = if top.contains("templates") { "templates" } else { "template" };
    for (owner, templates) in filed.by_sender {
        let sender = &mut register.senders[owner];
        if templates.len() > MOST_TEMPLATES {
            let count = templates.len();
            top.fault(key, format!("sender {:?} has {count} templates; {MOST_TEMPLATES} are the most", sender.id));
            continue;
        }
        match Templates::new(templates) {
            Ok(templates) => sender.templates = Some(Arc::new(templates)),
            Err(why) => top.fault(key, format!("the templates of sender {:?}: {why}", sender.id)),
        }
    }
    if !filed.contents.is_empty() {
        let parts = std::iter::once(register.version.as_str()).chain(filed.contents.iter().map(String::as_str));
        register.version = super::version_of(parts);
    }
    register.files.extend(filed.files);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDERS: &str = "[[provider]]\nsystem_id = \"p\"\nports = [\"1069\"]\n\
        [[sender]]\nid = \"s\"\nname = \"S\"\ncredential = \"C\"\nsignatures = [\"青禾\"]\n";

    fn faults(top: &str, templates: &str) -> Vec<String> {
        let text = format!("{top}{SENDERS}{templates}");
        let faults = Register::parse(Path::new("r.toml"), &text).unwrap_err();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_template_is_read_with_its_sender() {
        let template =
            "[[template]]\nid = \"1\"\nsender = \"s\"\nclass = \"service\"\ntext = \"验证码${code:digits,6}\"\n";
        let register = Register::parse(Path::new("r.toml"), &format!("{SENDERS}{template}")).unwrap();
        assert_eq!(register.sender("s").unwrap().templates.as_ref().unwrap().all().len(), 1);
    }

    #[test]
    fn faults_name_line_and_key() {
        let template = |id: &str, sender: &str, text: &str| {
            format!("[[template]]\nid = \"{id}\"\nsender = \"{sender}\"\ntext = \"{text}\"\n")
        };
        let all = [
            template("1", "s", "验证码${code:digit,6}"),
            template("2", "S", "验证码${code:digits,6}"),
            template("2", "s", "【云帆】验证码${code:digits,6}"),
            template("2", "s", "您好${name:chinese,1-8}"),
        ];
        assert_eq!(
            faults("", &all.concat()),
            [
                "r.toml:12: template[0].text: the variable ${code:digit,6} has an unknown type: \"digit\" is not known; did you mean \"digits\"?",
                "r.toml:15: template[1].sender: no sender has the id \"S\"; did you mean \"s\"?",
                "r.toml:20: template[2].text: has the signature \"云帆\", which is none of sender \"s\"",
                "r.toml:22: template[3].id: sender \"s\" has filed a template \"2\" already",
            ]
        );
    }

    #[test]
    fn files_are_read_beside_the_register_and_count_for_its_version() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.toml");
        let lines = folder.path().join("t.jsonl");
        std::fs::write(&path, format!("templates = [\"t.jsonl\"]\n{SENDERS}")).unwrap();
        std::fs::write(&lines, "{\"id\": \"1\", \"sender\": \"s\", \"text\": \"您的包裹${no:code,6-20}已到\"}\n\n")
            .unwrap();
        let register = Register::load(&path).unwrap();
        assert_eq!(register.sender("s").unwrap().templates.as_ref().unwrap().all().len(), 1);
        assert_eq!(register.files(), [path.clone(), lines.clone()]);
        std::fs::write(&lines, "{\"id\": \"1\", \"sender\": \"s\", \"text\": \"您的包裹${no:code,6-30}已到\"}\n")
            .unwrap();
        assert_ne!(Register::load(&path).unwrap().version(), register.version());

        std::fs::write(&lines, "{\"id\": 1}\n{\"id\": \"1\", \"sender\": \"s\", \"text\": \"${any,0-9}\"}\n").unwrap();
        let faults = Register::load(&path).unwrap_err();
        assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [Some(1), Some(2)]);
        std::fs::remove_file(&lines).unwrap();
        assert!(Register::load(&path).unwrap_err()[0].message.contains("t.jsonl cannot be read"));
    }
}
