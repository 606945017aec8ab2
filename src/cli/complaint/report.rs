//! The report of a dossier as one page, in both languages.
//!
//! Owns how it looks: a page by itself, without scripts, styles from elsewhere or links. Every text in it that came
//! from outside is escaped. Driven by the dossier.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::dossier::Report;
use crate::gate::evidence::{Found, FoundMessage};
use crate::rules::terms::Stage;

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"zh-CN\"><head><meta charset=\"utf-8\">\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
<title>投诉报告 / Complaint report</title><style>\
body{font:14px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse;width:100%;margin:.5em 0 1.5em}th,td{border:1px solid #bbb;padding:.3em .6em;\
text-align:left;vertical-align:top;overflow-wrap:anywhere}th{background:#f2f2f2;font-weight:600}\
th.l{width:16em}.late{color:#b00020;font-weight:700}blockquote{margin:.5em 0;padding:.6em 1em;background:#f7f7f7;\
border-left:4px solid #bbb;white-space:pre-wrap;overflow-wrap:anywhere}@media print{body{margin:0}}\
</style></head><body>\n";

/// The whole page.
pub(super) fn html(report: &Report, zone: &TimeZone) -> String {
    let mut page = Page { out: String::with_capacity(32 * 1024), zone };
    page.out.push_str(HEAD);
    page.raw(&format!("<h1>投诉报告 / Complaint report {}</h1>", escape(&report.complaint.complaint.id)));
    page.complaint(report);
    page.terms(report);
    page.steps(report);
    for (number, meant) in (1..).zip(&report.meant) {
        page.meant(number, meant, report);
    }
    page.around(report);
    page.measures(report);
    page.raw("</body></html>");
    page.out
}

struct Page<'p> {
    out: String,
    zone: &'p TimeZone,
}

impl Page<'_> {
    fn raw(&mut self, html: &str) {
        self.out.push_str(html);
        self.out.push('\n');
    }

    fn heading(&mut self, zh: &str, en: &str) {
        self.raw(&format!("<h2>{zh} / {en}</h2>"));
    }

    /// Labels with their values; what has none is left out.
    fn facts(&mut self, facts: &[(&str, &str, String)]) {
        self.raw("<table>");
        for (zh, en, value) in facts.iter().filter(|(_, _, value)| !value.is_empty()) {
            self.raw(&format!("<tr><th class=\"l\">{zh}<br>{en}</th><td>{}</td></tr>", escape(value)));
        }
        self.raw("</table>");
    }

    fn table(&mut self, heads: &[(&str, &str)], rows: impl Iterator<Item = Vec<String>>) {
        let mut html = String::from("<table><tr>");
        for (zh, en) in heads {
            _ = write!(html, "<th>{zh}<br>{en}</th>");
        }
        html.push_str("</tr>");
        for row in rows {
            html.push_str("<tr>");
            for cell in row {
                let class = if MARKED.contains(&cell.as_str()) { " class=\"late\"" } else { "" };
                _ = write!(html, "<td{class}>{}</td>", escape(&cell));
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</table>");
        self.raw(&html);
    }

    fn time(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f %:z").to_string()
    }

    /// A moment as JSON has it.
    fn told(&self, at: Option<&Value>) -> String {
        at.and_then(Value::as_str).and_then(|at| at.parse().ok()).map(|at| self.time(at)).unwrap_or_default()
    }

    fn complaint(&mut self, report: &Report) {
        let complaint = &report.complaint.complaint;
        let against: Vec<String> = complaint.against.iter().map(|(kind, name)| format!("{kind} {name}")).collect();
        self.heading("投诉", "The complaint");
        self.facts(&[
            ("投诉编号", "name", complaint.id.clone()),
            ("来源编号", "reference", complaint.reference.clone()),
            ("渠道", "by way of", complaint.course.channel.name().to_owned()),
            ("投诉时间", "made", self.time(complaint.course.received)),
            ("转办时间", "reached the company", complaint.course.reached.map(|at| self.time(at)).unwrap_or_default()),
            ("登记时间", "recorded", self.time(complaint.at)),
            ("用户号码", "subscriber", complaint.subscriber.clone()),
            ("所述收信时间", "message received, by the subscriber's word", self.time(complaint.about)),
            ("所述内容", "the subscriber's words", complaint.text.clone()),
            ("被投诉方", "against", against.join(", ")),
            ("此前已投诉", "complained of before", complaint.repeats.clone().unwrap_or_default()),
            ("法律保全", "legal hold", complaint.hold.clone().unwrap_or_default()),
            ("涉及短信", "messages meant", complaint.messages.join(", ")),
        ]);
    }

    fn terms(&mut self, report: &Report) {
        self.heading("期限（工作日 3 / 15 / 3）", "Terms, in working days");
        let stage = |stage| match stage {
            Stage::Forward => "12321 转办 / forwarded by 12321",
            Stage::Act => "企业处理并反馈 / acted on and reported",
            Stage::Answer => "答复用户 / user answered",
        };
        let rows: Vec<Vec<String>> = report
            .complaint
            .terms
            .terms
            .iter()
            .map(|term| {
                let done = term.done.map(|at| self.time(at)).unwrap_or_else(|| "-".to_owned());
                let late = if term.is_late { LATE } else { "" };
                vec![stage(term.stage).to_owned(), term.due.to_string(), done, late.to_owned()]
            })
            .collect();
        self.table(&[("环节", "step"), ("最晚日期", "due"), ("完成时间", "done"), ("", "")], rows.into_iter());
        for year in &report.complaint.terms.unknown_years {
            self.raw(&format!("<p class=\"late\">{year} 年节假日安排未载入，仅按周末计算 / the holidays of {year} are not known: counted by weekends alone</p>"));
        }
    }

    fn steps(&mut self, report: &Report) {
        self.heading("处理经过", "What was done");
        let rows: Vec<Vec<String>> = report
            .complaint
            .complaint
            .steps
            .iter()
            .map(|step| {
                vec![self.time(step.done), step.step.clone(), step.by.clone(), step.note.clone(), step.id.clone()]
            })
            .collect();
        let heads = [("时间", "when"), ("步骤", "step"), ("操作人", "by"), ("说明", "note"), ("记录", "record")];
        self.table(&heads, rows.into_iter());
    }

    /// A message meant, as `explain` tells it.
    fn meant(&mut self, number: usize, told: &Value, report: &Report) {
        self.heading(&format!("涉及短信 {number}"), &format!("Message {number}"));
        let Some(message) = told.get("message") else { return };
        let plain = |place: &str| message.pointer(place).map(text).unwrap_or_default();
        let sender = plain("/sender");
        let known = report.registered.get("senders").and_then(Value::as_array).into_iter().flatten();
        let known = known.filter(|known| known.get("id").map(text).as_deref() == Some(&sender));
        let entity = known.map(|known| format!("{}（{}）", of(known, "name"), of(known, "credential"))).next();
        self.facts(&[
            ("记录", "record", plain("/id")),
            ("网关接收", "received", self.told(message.get("received"))),
            ("提交运营商", "forwarded", self.told(message.pointer("/outcome/forwarded"))),
            ("运营商应答", "answered", self.told(message.pointer("/outcome/at"))),
            (
                "最终状态",
                "final state",
                format!("{} {}", plain("/final_state"), self.told(message.get("final_at"))).trim().to_owned(),
            ),
            ("端口号码", "port", plain("/source")),
            ("服务商账号", "provider", plain("/provider")),
            ("内容提供者", "sender", entity.map_or(sender.clone(), |entity| format!("{sender} {entity}"))),
            ("短信类别", "class", plain("/class")),
            ("判定", "verdict", format!("{} {}", plain("/verdict"), plain("/status"))),
            ("运营商短信编号", "message_id", plain("/outcome/message_id")),
            ("规则集与登记版本", "profile and register", format!("{} {}", plain("/profile"), plain("/register"))),
        ]);
        self.raw(&format!(
            "<blockquote>{}</blockquote>",
            escape(&message.get("text").map_or_else(|| plain("/opaque"), text))
        ));
        let replies: Vec<Vec<String>> = each(message, "replies")
            .map(|reply| {
                vec![
                    self.told(reply.get("received")),
                    of(reply, "text"),
                    reply.pointer("/taken/effect").map(text).unwrap_or_default(),
                ]
            })
            .collect();
        if !replies.is_empty() {
            self.table(&[("用户回复时间", "replied"), ("内容", "text"), ("处理", "taken for")], replies.into_iter());
        }
        let rules = each(told, "rules").map(|rule| {
            let outcome = of(rule, "outcome");
            vec![format!("{} {}", of(rule, "rule"), of(rule, "name")), of(rule, "article"), outcome, of(rule, "why")]
        });
        self.table(&[("规则", "rule"), ("依据", "article"), ("结果", "result"), ("理由", "why")], rules);
        self.standing(told.get("standing"));
    }

    /// The consent it rested on, as known then and as known today.
    fn standing(&mut self, standing: Option<&Value>) {
        let Some(standing) = standing.filter(|standing| standing.is_object()) else { return };
        self.facts(&[
            ("发送时已知的同意状态", "consent as known then", of(standing, "then")),
            ("现在已知的当时状态", "the same as known today", of(standing, "today")),
        ]);
        let events = each(standing, "then_by").map(|event| ("then", event));
        let rows: Vec<Vec<String>> = events
            .chain(each(standing, "today_by").map(|event| ("today", event)))
            .map(|(known, event)| {
                let at =
                    |key| event.get(key).and_then(Value::as_i64).and_then(|ms| Timestamp::from_millisecond(ms).ok());
                let at = |key| at(key).map(|at| self.time(at)).unwrap_or_default();
                vec![
                    known.to_owned(),
                    of(event, "status"),
                    at("at_ms"),
                    of(event, "category"),
                    of(event, "method"),
                    of(event, "wording"),
                    format!("{} {}", of(event, "evidence"), of(event, "sha256")),
                    at("recorded_at_ms"),
                ]
            })
            .collect();
        if !rows.is_empty() {
            let heads = [
                ("已知于", "known"),
                ("状态", "status"),
                ("时间", "said"),
                ("类别", "category"),
                ("方式", "method"),
                ("告知内容", "wording"),
                ("证据", "evidence"),
                ("登记时间", "recorded"),
            ];
            self.table(&heads, rows.into_iter());
        }
    }

    fn around(&mut self, report: &Report) {
        self.heading("该发送方与该用户之间的其他往来", "What else went to that subscriber and came back");
        if report.more {
            self.raw("<p>仅列出最近部分，全部见 records.csv / only the newest: records.csv has all</p>");
        }
        let rows: Vec<Vec<String>> = report
            .around
            .iter()
            .filter_map(|found| match found {
                Found::Message(message) => Some(self.sent(message)),
                Found::Delivery(reply) => Some(vec![
                    self.time(reply.received),
                    "←".to_owned(),
                    reply.destination.clone(),
                    String::new(),
                    reply.taken.as_ref().map(|taken| format!("{} {}", taken.rule, taken.effect)).unwrap_or_default(),
                    reply.text.clone().or_else(|| reply.state.clone()).unwrap_or_default(),
                    reply.id.clone(),
                ]),
                Found::Session(_) | Found::List(_) | Found::Change(_) => None,
            })
            .collect();
        let heads = [
            ("时间", "when"),
            ("方向", "way"),
            ("端口", "port"),
            ("类别", "class"),
            ("判定", "verdict"),
            ("内容", "text"),
            ("记录", "record"),
        ];
        self.table(&heads, rows.into_iter());
    }

    fn sent(&self, message: &FoundMessage) -> Vec<String> {
        let rules: Vec<&str> = message.findings.iter().map(|finding| finding.rule.as_str()).collect();
        vec![
            self.time(message.received),
            "→".to_owned(),
            message.source.clone(),
            message.class.clone(),
            format!("{} {}", message.verdict, rules.join(" ")),
            message.text.clone().or_else(|| message.opaque.clone()).unwrap_or_default(),
            message.id.clone(),
        ]
    }

    fn measures(&mut self, report: &Report) {
        if report.measures.is_empty() {
            return;
        }
        self.heading("处置措施", "Measures");
        let rows: Vec<Vec<String>> = report
            .measures
            .iter()
            .map(|step| {
                vec![
                    self.time(step.at),
                    format!("{} {}", step.kind, step.name),
                    step.step.clone(),
                    step.by.clone(),
                    step.reason.clone(),
                ]
            })
            .collect();
        let heads = [("时间", "when"), ("对象", "against"), ("措施", "step"), ("操作", "by"), ("原因", "why")];
        self.table(&heads, rows.into_iter());
    }
}

fn each<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn of(value: &Value, key: &str) -> String {
    value.get(key).map(text).unwrap_or_default()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A text that is nothing but a text.
/// What stands beside a term that was not kept.
const LATE: &str = "逾期 / late";

/// Cells that stand out.
const MARKED: [&str; 2] = [LATE, "failed"];

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Shown where a browser would swallow them, or let them turn the reading direction.
            c if c.is_control() && c != '\n' && c != '\t' => _ = write!(out, "\\u{{{:x}}}", u32::from(c)),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => _ = write!(out, "\\u{{{:x}}}", u32::from(c)),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_outside_stays_a_text() {
        assert_eq!(escape("<b a=\"1\">'&"), "&lt;b a=&quot;1&quot;&gt;&#39;&amp;");
        assert_eq!(escape("a\u{202e}b\u{0}c\nd"), "a\\u{202e}b\\u{0}c\nd");
    }
}
