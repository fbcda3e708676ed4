//! Lists as CSV files: for spreadsheets, and for whoever keeps the books elsewhere.

use crate::merchant::commands::{amount, yuan};
use crate::merchant::console::machines::Kiosk;
use crate::merchant::console::moment;
use crate::merchant::ledger::Time;
use crate::merchant::reconcile::{Tally, Verdict};
use crate::merchant::store::bills::Bill;
use crate::merchant::store::kiosks::Seen;
use crate::merchant::store::reports::{Entry, Line, Problem};

/// Payments that are owed or open.
pub fn entries(entries: &[Entry]) -> Vec<u8> {
    let rows = entries.iter().map(|entry| {
        vec![
            moment(Time(entry.since)),
            entry.transaction_id.clone(),
            entry.order_no.clone(),
            amount(entry),
            entry.reason.clone(),
            entry.state.to_owned(),
        ]
    });
    let head = ["since", "transaction", "order", "yuan", "reason", "state"];
    file(&head, rows)
}

/// Sales.
pub fn sales(sales: &[(String, Line)]) -> Vec<u8> {
    let rows = sales.iter().map(|(sale, line)| {
        vec![
            moment(line.created_at),
            sale.clone(),
            line.order_no.clone(),
            line.kiosk.clone(),
            yuan(line.total),
            line.status.clone(),
        ]
    });
    file(&["began", "sale", "order", "kiosk", "yuan", "status"], rows)
}

/// Machines, and what they took today.
pub fn kiosks(kiosks: &[Kiosk]) -> Vec<u8> {
    let rows = kiosks.iter().map(|kiosk| {
        let of = |tell: fn(&Seen) -> String| kiosk.seen.as_ref().map(tell).unwrap_or_default();
        vec![
            kiosk.name.to_string(),
            of(|seen| moment(seen.at)),
            of(|seen| seen.state.clone()),
            of(|seen| seen.fault.clone()),
            of(|seen| seen.version.clone()),
            yuan(kiosk.takings),
            kiosk.sold.to_string(),
        ]
    });
    let head = [
        "kiosk",
        "heard",
        "state",
        "fault",
        "version",
        "yuan",
        "dispensed",
    ];
    file(&head, rows)
}

/// What was sent and is no good.
pub fn problems(problems: &[Problem]) -> Vec<u8> {
    let rows = problems.iter().map(|problem| {
        vec![
            moment(problem.at),
            problem.kind.clone(),
            problem.order_no.clone(),
            problem.what.clone(),
        ]
    });
    file(&["at", "kind", "order", "what"], rows)
}

/// What came of each bill.
pub fn bills(bills: &[(i64, Bill)]) -> Vec<u8> {
    let rows = bills.iter().map(|(_, bill)| {
        let summary = &bill.summary;
        let verdict = match summary.verdict() {
            Verdict::Agree => "agree",
            Verdict::Owed => "owed",
            Verdict::Waits => "waits",
            Verdict::Wrong => "wrong",
        };
        let mut row = vec![moment(bill.at), bill.name.clone(), verdict.to_owned()];
        for Tally { count, total } in summary.tallies() {
            row.extend([count.to_string(), yuan(total as i64)]);
        }
        let became = [summary.awaited, summary.doubted, summary.refunds];
        row.extend(became.map(|count| count.to_string()));
        row
    });
    let head = [
        "at",
        "bill",
        "verdict",
        "matched",
        "matched yuan",
        "only on the bill",
        "only on the bill yuan",
        "only in the books",
        "only in the books yuan",
        "amount differs",
        "amount differs yuan",
        "told twice",
        "told twice yuan",
        "wait",
        "in review",
        "refunds due",
    ];
    file(&head, rows)
}

fn file(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<u8> {
    // Spreadsheets take a file for UTF-8 only when it says so.
    let mut writer = csv::Writer::from_writer("\u{feff}".as_bytes().to_vec());
    let told = writer.write_record(head).and_then(|()| {
        for row in rows {
            writer.write_record(row.iter().map(|cell| harmless(cell)))?;
        }
        Ok(())
    });
    told.expect("memory takes it, and every row has its columns");
    writer.into_inner().expect("memory takes it")
}

/// A cell that no spreadsheet takes for a formula: what strangers sent must not run.
fn harmless(cell: &str) -> String {
    match cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_a_formula_or_another_cell() {
        let entry = Entry {
            transaction_id: "=HYPERLINK(\"http://evil\")".to_owned(),
            order_no: "-1,\"x\"\n".to_owned(),
            sale: None,
            amount: 350,
            currency: None,
            reason: "late".to_owned(),
            state: "due",
            since: 1_795_363_200_000,
        };
        let text = String::from_utf8(entries(&[entry])).expect("text");
        assert_eq!(
            text,
            "\u{feff}since,transaction,order,yuan,reason,state\n\
             2026-11-23 00:00:00,\"'=HYPERLINK(\"\"http://evil\"\")\",\"'-1,\"\"x\"\"\n\",3.50,late,due\n"
        );
    }
}
