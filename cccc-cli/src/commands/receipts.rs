//! `cccc receipts`

use cccc_core::{DeliveryWord, ObligationWord, Receipt};
use clap::Args;

use crate::context::Context;
use crate::output::{Outcome, Style, clean};
use crate::render::due;
use crate::table::{Table, plain};

/// Say for each recipient of a message what became of it
///
/// DELIVERY is how far it got: pending, claimed, handed (the transport took it), queued (the agent's program
/// holds it), accepted (it stands in a turn) or answered; or held, refused, withdrawn, failed, ambiguous,
/// withheld or bounced. BY says who vouches for it: pull, transcript, replay and native_event are proof,
/// hook and runtime that door's word; ledger is that another group has it, whose receipts say more. ACK and REPLY are none (not asked for), open, met, cancelled or
/// returned.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cccc receipts 5
  cccc receipts 5 --json | jq -c '{recipient, delivery, reply}'")]
pub(crate) struct ReceiptsArgs {
    /// The message: its number, its id, or the start of its id
    #[arg(value_name = "EVENT")]
    event: String,
}

pub(crate) async fn cmd_receipts(context: &Context, args: ReceiptsArgs) -> Outcome {
    let group = context.group_to_look().await?;
    let receipts = group.receipts(args.event.as_str()).await?;
    context.out.answers(&receipts, || table(context, &receipts))
}

/// Receipts for people.
pub(crate) fn table(context: &Context, receipts: &[Receipt]) -> String {
    let mut table =
        Table::new(&context.out, &["RECIPIENT", "DELIVERY", "BY", "READ", "ACK", "REPLY", "DUE", "REMARKS"]);
    for receipt in receipts {
        let delivery = match receipt.delivery.state {
            word if word.is_delivered() => Style::Green,
            DeliveryWord::Pending | DeliveryWord::Claimed | DeliveryWord::Handed | DeliveryWord::Queued => {
                Style::Plain
            }
            _ => Style::Red,
        };
        let owed = |word: ObligationWord| {
            let style = match word {
                ObligationWord::Met => Style::Green,
                ObligationWord::Open => Style::Yellow,
                _ => Style::Plain,
            };
            (word.to_string(), style)
        };
        let overdue = if receipt.overdue { Style::Red } else { Style::Plain };
        let open = receipt.ack == ObligationWord::Open || receipt.reply == ObligationWord::Open;
        let due_at = receipt.due_at.filter(|_| open);
        table.row([
            (receipt.recipient.to_string(), Style::Cyan),
            (receipt.delivery.state.to_string(), delivery),
            plain(receipt.delivery.by.as_ref().map(|by| clean(by.as_str())).unwrap_or_default()),
            plain(if receipt.read { "read" } else { "unread" }),
            owed(receipt.ack),
            owed(receipt.reply),
            (due_at.map(due).unwrap_or_default(), overdue),
            plain(remarks(receipt)),
        ]);
    }
    table.text()
}

fn remarks(receipt: &Receipt) -> String {
    let reasons =
        [("", &receipt.delivery.reason), ("ack: ", &receipt.ack_reason), ("reply: ", &receipt.reply_reason)];
    let mut remarks: Vec<String> = reasons
        .iter()
        .filter_map(|(what, reason)| reason.as_ref().map(|reason| format!("{what}{}", clean(reason))))
        .collect();
    if let Some(holder) = &receipt.moved_to {
        remarks.insert(0, format!("moved to {holder}"));
    }
    if let Some(debtor) = &receipt.debtor {
        remarks.push(format!("owed by {debtor} now"));
    }
    remarks.join("; ")
}
