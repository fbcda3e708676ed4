//! The books in memory: the same requests, the same ledger, no database. A commit is never lost here.

use std::collections::BTreeMap;

use selpay_kiosk::ids::{KioskName, OrderNo, SaleId, TransactionId};
use selpay_kiosk::merchant::ledger::{Booked, Change, Disposition, Sale, Time};
use selpay_kiosk::merchant::store::requests::Books;
use selpay_kiosk::sale::SaleStatus;

#[derive(Default)]
pub struct MemoryBooks {
    pub now: i64,
    pub sales: BTreeMap<SaleId, Sale>,
    orders: BTreeMap<OrderNo, SaleId>,
    /// Each payment with everything that has become of it, the last of which counts.
    pub payments: BTreeMap<TransactionId, (Booked, Vec<Disposition>)>,
    /// The sales that have not ended: all others are history.
    live: Vec<SaleId>,
}

/// A change did not find what it was decided on.
#[derive(Debug)]
pub struct Void;

impl MemoryBooks {
    fn standing(&mut self, sale: SaleId, from: SaleStatus) -> Result<&mut Sale, Void> {
        let sale = self.sales.get_mut(&sale).ok_or(Void)?;
        if sale.status == from {
            Ok(sale)
        } else {
            Err(Void)
        }
    }

    fn dispose(&mut self, transaction: TransactionId, to: Disposition) -> Result<(), Void> {
        let (booked, history) = self.payments.get_mut(&transaction).ok_or(Void)?;
        booked.disposition = to;
        history.push(to);
        for sale in self.live.iter().chain(self.orders.get(&booked.order)) {
            let sale = self.sales.get_mut(sale).ok_or(Void)?;
            if sale.paid.is_some_and(|(paid_by, _)| paid_by == transaction) {
                sale.disposition = Some(to);
            }
        }
        Ok(())
    }

    fn make_one(&mut self, change: &Change) -> Result<(), Void> {
        let now = Time(self.now);
        match change {
            Change::NewSale { sale, kiosk, total } => {
                let new = Sale {
                    id: *sale,
                    kiosk: *kiosk,
                    total: *total,
                    status: SaleStatus::Open,
                    began: now,
                    orders: Vec::new(),
                    paid: None,
                    claim: None,
                    disposition: None,
                };
                self.live.push(*sale);
                match self.sales.insert(*sale, new) {
                    None => Ok(()),
                    Some(_) => Err(Void),
                }
            }
            Change::NewOrder { order, sale } => {
                self.sales.get_mut(sale).ok_or(Void)?.orders.push(*order);
                match self.orders.insert(*order, *sale) {
                    None => Ok(()),
                    Some(_) => Err(Void),
                }
            }
            Change::NewPayment {
                payment,
                disposition,
            } => {
                let booked = Booked {
                    transaction: payment.transaction,
                    order: payment.order,
                    total: payment.total,
                    disposition: *disposition,
                };
                let entry = (booked, vec![*disposition]);
                match self.payments.insert(payment.transaction, entry) {
                    None => Ok(()),
                    Some(_) => Err(Void),
                }
            }
            Change::Disposed { transaction, to } => self.dispose(*transaction, *to),
            Change::Paid { sale, transaction } => {
                let disposition = self
                    .payments
                    .get(transaction)
                    .map(|(booked, _)| booked.disposition);
                let sale = self.standing(*sale, SaleStatus::Open)?;
                sale.status = SaleStatus::Paid;
                sale.paid = Some((*transaction, now));
                sale.disposition = disposition;
                Ok(())
            }
            Change::Claimed { sale, claim } => {
                let sale = self.standing(*sale, SaleStatus::Paid)?;
                sale.status = SaleStatus::Claimed;
                sale.claim = Some((*claim, now));
                Ok(())
            }
            Change::Status { sale, from, to } => {
                self.standing(*sale, *from)?.status = *to;
                if !is_live(*to) {
                    self.live.retain(|live| live != sale);
                }
                Ok(())
            }
        }
    }

    fn found(&self, wanted: impl Fn(&Sale) -> bool) -> Vec<Sale> {
        let live = self.live.iter().filter_map(|sale| self.sales.get(sale));
        live.filter(|sale| wanted(sale)).cloned().collect()
    }
}

fn is_live(status: SaleStatus) -> bool {
    use SaleStatus::{Claimed, Open, Paid};
    matches!(status, Open | Paid | Claimed)
}

impl Books for MemoryBooks {
    type Error = Void;

    fn now(&self) -> Time {
        Time(self.now)
    }

    fn sale(&self, sale: SaleId) -> Result<Option<Sale>, Void> {
        Ok(self.sales.get(&sale).cloned())
    }

    fn sale_of(&self, order: OrderNo) -> Result<Option<Sale>, Void> {
        Ok(self
            .orders
            .get(&order)
            .and_then(|sale| self.sales.get(sale))
            .cloned())
    }

    fn payment(&self, transaction: TransactionId) -> Result<Option<Booked>, Void> {
        Ok(self
            .payments
            .get(&transaction)
            .map(|(booked, _)| booked.clone()))
    }

    fn payments_of(&self, order: OrderNo) -> Result<Vec<Booked>, Void> {
        let on_it = self
            .payments
            .values()
            .filter(|(booked, _)| booked.order == order);
        Ok(on_it.map(|(booked, _)| booked.clone()).collect())
    }

    fn live(&self, kiosk: KioskName) -> Result<Vec<Sale>, Void> {
        Ok(self.found(|sale| sale.kiosk == kiosk))
    }

    fn overdue(&self, expired: Time, silent: Time) -> Result<Vec<Sale>, Void> {
        Ok(self.found(|sale| match sale.status {
            SaleStatus::Paid => sale.paid.is_some_and(|(_, at)| at.0 <= expired.0),
            SaleStatus::Claimed => {
                let is_waiting = sale.disposition == Some(Disposition::Waiting);
                is_waiting && sale.claim.is_some_and(|(_, at)| at.0 <= silent.0)
            }
            _ => false,
        }))
    }

    fn make(&mut self, changes: &[Change], _body: &[u8]) -> Result<(), Void> {
        changes.iter().try_for_each(|change| self.make_one(change))
    }
}
