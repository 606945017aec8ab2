//! `consent import`: row-level errors with their lines, and a second time that changes nothing.

use crate::gate::Folder;
use crate::stage::{REGISTER, Stage, WILLING, offer, sent};

const HEADER: &str = "msisdn,sender,category,status,at,method,evidence,expires_at";

/// Good rows on lines 2, 4, 6 (which is two lines long) and 12; each of the others is faulty in its own way.
const MIXED: &str = "\
13800138001,bakery,,consent,2026-01-02T10:00:00+08:00,web,form 1,
138,bakery,,consent,2026-01-02,web,form 2,
+8613800138002,bakery,promotion,refusal,2026-01-03,MO,R,
13800138003,cobbler,,consent,2026-01-02,web,form 3,
13800138004,bakery,,consent,2026-01-02,paper,\"two
lines\",2027-01-02
13800138005,bakery,,maybe,2026-01-02,web,form 5,
13800138006,bakery,,consent,tomorrow,web,form 6,
13800138007,bakery,,consent,2026-01-02,web,form 7,2025-01-01
13800138008,bakery
13800138009,bakery,,consent,2026-01-02,web,form 9,
";

/// Each line that must be told, with a word of what is wrong there.
const FAULTS: [(u32, &str); 6] =
    [(3, "msisdn"), (5, "cobbler"), (8, "maybe"), (9, "tomorrow"), (10, "expires_at"), (11, "status")];

fn mixed() -> String {
    format!("{HEADER}\n{MIXED}")
}

fn import_twice(folder: &Folder) {
    let file = folder.path().join("consents.csv");
    std::fs::write(&file, mixed()).expect("a CSV file");
    let import = ["consent", "import", file.to_str().expect("UTF-8")];
    let first = folder.run(&import);
    assert_eq!(first.code, Some(1), "rows were faulty");
    assert_eq!(first.stdout, "10 rows: 4 changed, 0 unchanged, 0 superseded by what is held, 6 faulty\n");
    let told: Vec<&str> = first.stderr.lines().filter(|line| line.starts_with("line ")).collect();
    assert_eq!(told.len(), FAULTS.len(), "{}", first.stderr);
    for ((line, word), told) in FAULTS.iter().zip(&told) {
        assert!(told.starts_with(&format!("line {line}: ")) && told.contains(word), "line {line}, {word}: {told}");
    }
    let before = folder.run(&["consent", "export", "--whole"]).ok();
    let again = folder.run(&import);
    assert_eq!(again.stdout, "10 rows: 0 changed, 4 unchanged, 0 superseded by what is held, 6 faulty\n");
    let after = folder.run(&["consent", "export", "--whole"]).ok();
    assert_eq!(sorted(&after), sorted(&before));
    assert_eq!(sorted(&before).len(), 1 + 4 + 1, "the header, four rows, and one of them on two lines");
    take_out_and_in_again(folder, &after);
}

fn sorted(csv: &str) -> Vec<&str> {
    let mut lines: Vec<_> = csv.lines().collect();
    lines.sort_unstable();
    lines
}

/// What was exported can be imported.
fn take_out_and_in_again(folder: &Folder, exported: &str) {
    let said = folder.feed(&["consent", "import", "-"], exported).ok();
    assert_eq!(said, "4 rows: 0 changed, 4 unchanged, 0 superseded by what is held, 0 faulty\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_through_a_running_gate_is_in_force_at_once() {
    let stage = Stage::new().await;
    let mut provider = stage.herald().await;
    assert_eq!(sent(&mut provider, offer(WILLING)).await.0, crate::stage::NO_CONSENT);
    import_twice(&stage.folder);
    assert_eq!(sent(&mut provider, offer(WILLING)).await.0, crate::provider::OK);
    assert_eq!(sent(&mut provider, offer("8613800138002")).await.0.0, 0x0482, "the refusal of line 4");
}

#[test]
fn an_import_without_a_gate_comes_to_the_same() {
    import_twice(&Folder::new(REGISTER, std::net::SocketAddr::from(([127, 0, 0, 1], 2776))));
}

#[test]
fn a_file_without_the_needed_columns_is_refused_whole() {
    let folder = Folder::new(REGISTER, std::net::SocketAddr::from(([127, 0, 0, 1], 2776)));
    for (header, word) in [("msisdn,sender,at", "status"), ("msisdn,sender,status,at,colour", "colour")] {
        let said = folder.feed(&["consent", "import", "-"], &format!("{header}\n"));
        assert_eq!(said.code, Some(1));
        assert!(said.stderr.contains(word), "{}", said.stderr);
    }
    let missing = folder.run(&["consent", "import", "/nowhere/consents.csv"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("/nowhere/consents.csv"), "{}", missing.stderr);
}

/// A row between good ones whose text the store cannot keep: through the gate and without it.
fn one_is_too_long(folder: &Folder) {
    let row = |number: u32, category: &str, evidence: &str| {
        format!("1380014{number:04},bakery,{category},consent,2026-01-02,web,{evidence},\n")
    };
    let long = "x".repeat(5_000);
    let rows = [row(1, "", "form"), row(2, "", &long), row(3, &long, "form"), row(4, "", "form")].concat();
    let said = folder.feed(&["consent", "import", "-"], &format!("{HEADER}\n{rows}"));
    assert_eq!(said.code, Some(1));
    assert_eq!(said.stdout, "4 rows: 2 changed, 0 unchanged, 0 superseded by what is held, 2 faulty\n");
    let told: Vec<&str> = said.stderr.lines().filter(|line| line.starts_with("line ")).collect();
    let starts = ["line 3: evidence has 5000 octets", "line 4: category has 5000 octets"];
    assert!(told.len() == 2 && told.iter().zip(starts).all(|(told, start)| told.starts_with(start)), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_is_too_long_costs_its_row_alone() {
    let stage = Stage::new().await;
    one_is_too_long(&stage.folder);
    let Stage { gate, folder, carrier } = stage;
    gate.stop();
    one_is_too_long(&Folder::new(REGISTER, carrier.address()));
    assert_eq!(folder.run(&["consent", "export", "--whole"]).ok().lines().count(), 3, "the header and the good rows");
}

/// A quote that is not closed takes all that follows for one field: told where it began, and never read whole.
#[test]
fn a_quote_that_is_not_closed_is_told_with_its_line() {
    let folder = Folder::new(REGISTER, std::net::SocketAddr::from(([127, 0, 0, 1], 2776)));
    let good = "13800138001,bakery,,consent,2026-01-02,web,form,\n";
    let open = "13800138002,bakery,,consent,2026-01-02,web,\"form,\n";
    for (after, told) in [(1_000, "line 3: evidence has"), (100_000, "line 3: the row has more than 1048576 octets")] {
        let csv = format!("{HEADER}\n{good}{open}{}", good.repeat(after));
        let said = folder.feed(&["consent", "import", "-"], &csv);
        assert_eq!(said.code, Some(1));
        assert!(said.stderr.contains(told) && said.stderr.contains("is a quote not closed?"), "{}", said.stderr);
    }
}

/// The last event in event time wins whatever the order of arrival, and a tie is a refusal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_rows_does_not_decide() {
    let stage = Stage::new().await;
    let mut provider = stage.herald().await;
    let row = |number: u32, status: &str, at: &str| format!("1380013{number:04},bakery,,{status},{at},web,form,\n");
    let rows = [
        row(1, "refusal", "2026-02-01") + &row(1, "consent", "2026-01-01"),
        row(2, "consent", "2026-02-01") + &row(2, "refusal", "2026-02-01"),
        row(3, "refusal", "2026-02-01") + &row(3, "consent", "2026-02-01"),
        row(4, "consent", "2026-03-01") + &row(4, "refusal", "2026-02-01"),
    ];
    stage.folder.feed(&["consent", "import", "-"], &format!("{HEADER}\n{}", rows.concat())).ok();
    for (number, status) in [(1, 0x0482), (2, 0x0482), (3, 0x0482), (4, 0)] {
        let to = format!("861380013{number:04}");
        assert_eq!(sent(&mut provider, offer(&to)).await.0.0, status, "{to}");
    }
}
