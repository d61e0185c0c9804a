//! The unit of work: a licence verification whose question has 1 KiB, and the list that answers it `VALID`.

use std::fmt::Write;

use liaison_protocol::operator::ExchangeSummary;
use serde_json::{Value, json};

/// Licences in the answering State's list; each is asked about in turn, within what the rule allows.
pub(crate) const LICENCES: u64 = 20_000;
/// Lines of goods on each.
const LINES: u32 = 4;

/// What the national system presents: 1,024 bytes of JSON.
pub(crate) fn opening(number: u64) -> Value {
    let mut opening = json!({"question": "verification", "presented": {
        "licence_no": licence_no(number), "licence_kind": "IMPORT", "issue_date": "2026-01-10",
        "expiry_date": "2036-01-09", "final_recipient": RECIPIENT,
        "lines": (1..=LINES).map(|line| json!({
            "line": line, "description": description(line), "quantity": 40, "unit": "pieces",
        })).collect::<Vec<_>>(),
    }});
    // Our own file number, as a system gives one.
    opening["case_ref"] = json!("DCI/FA/2026/00417");
    opening
}

/// The body of the request to `peer`.
pub(crate) fn request(peer: &str, number: u64) -> String {
    json!({"peer": peer, "opening": opening(number)}).to_string()
}

/// The list of the State that is asked, with so many licences.
pub(crate) fn list(licences: u64) -> String {
    let mut list = String::from(
        "licence_no,licence_kind,status,issue_date,expiry_date,final_recipient,line,description,quantity,unit\n",
    );
    for number in 0..licences {
        for line in 1..=LINES {
            let licence = licence_no(number);
            let goods = description(line);
            writeln!(
                list,
                "{licence},IMPORT,ACTIVE,2026-01-10,2036-01-09,{RECIPIENT},{line},{goods},40,pieces"
            )
            .expect("a string");
        }
    }
    list
}

/// Whether this was answered as the list says.
pub(crate) fn is_valid(exchange: &ExchangeSummary) -> bool {
    exchange.outcome.as_ref().is_some_and(|outcome| outcome.starts_with("VALID"))
}

fn licence_no(number: u64) -> String {
    format!("PE-IMP-{number:06}")
}

fn description(line: u32) -> String {
    let goods = "Rifle bolt action .308 Winchester with a barrel of 24 inches and a magazine of 5 cartridges";
    // As long as it takes to make the whole 1 KiB.
    let more = if line == LINES {
        "; with sling; case and manual for each"
    } else {
        "; in one crate of the consignment each"
    };
    format!("{goods}{more} no. {line}")
}

const RECIPIENT: &str = "Ministerio del Interior; Direccion de Logistica";

/// Bytes of what is presented.
pub(crate) fn length() -> usize {
    opening(0).to_string().len()
}
