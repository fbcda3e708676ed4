//! What becomes of a payment, and the words for it in the books.

/// What becomes of a verified payment. It has exactly one at any time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// It pays its sale, and waits for the claim or its outcome. This empties by itself.
    Waiting,
    /// The goods came out.
    Dispensed,
    /// The money must go back.
    RefundDue(Reason),
    /// The money went back.
    Refunded,
    /// A person must look.
    Review(Doubt),
}

/// Why money must go back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Paid after the sale was closed.
    Late,
    /// The sale was already paid by another payment.
    Duplicate,
    /// Not the exact amount of that number.
    Amount,
    /// Nobody registered that number.
    UnknownOrder,
    /// Nobody claimed the sale in time.
    Expired,
    /// The kiosk is sure that nothing came out.
    NotDispensed,
    /// A person decided so.
    Decided,
    /// Only the platform's bill tells of it: its notification never came.
    BillOnly,
    /// It was not paid in yuan. What it is in fen nobody knows, so it is in no sum of them.
    Currency,
}

/// Why a person must look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doubt {
    /// The kiosk cannot tell whether the goods came out.
    Unknown,
    /// The kiosk claimed and was not heard of again.
    Silent,
    /// The books were put back from a copy: they do not know what happened to it meanwhile.
    Gap,
}

impl Disposition {
    /// The words in the books: state and reason.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Disposition::Waiting => ("waiting", ""),
            Disposition::Dispensed => ("dispensed", ""),
            Disposition::Refunded => ("refunded", ""),
            Disposition::RefundDue(reason) => ("refund-due", reason.as_str()),
            Disposition::Review(doubt) => ("review", doubt.as_str()),
        }
    }

    /// The disposition of these words.
    pub fn from_words(state: &str, reason: &str) -> Option<Disposition> {
        let reasons = Reason::ALL.map(Disposition::RefundDue);
        let others = [
            Disposition::Waiting,
            Disposition::Dispensed,
            Disposition::Refunded,
        ];
        let reviews = Doubt::ALL.map(Disposition::Review);
        reasons
            .into_iter()
            .chain(others)
            .chain(reviews)
            .find(|disposition| disposition.words() == (state, reason))
    }
}

impl Doubt {
    /// All of them.
    pub const ALL: [Doubt; 3] = [Doubt::Unknown, Doubt::Silent, Doubt::Gap];

    /// The word in the books and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Doubt::Unknown => "unknown",
            Doubt::Silent => "silent",
            Doubt::Gap => "gap",
        }
    }
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 9] = [
        Reason::Late,
        Reason::Duplicate,
        Reason::Amount,
        Reason::UnknownOrder,
        Reason::Expired,
        Reason::NotDispensed,
        Reason::Decided,
        Reason::BillOnly,
        Reason::Currency,
    ];

    /// The word in the books and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Late => "late",
            Reason::Duplicate => "duplicate",
            Reason::Amount => "amount",
            Reason::UnknownOrder => "unknown-order",
            Reason::Expired => "expired",
            Reason::NotDispensed => "not-dispensed",
            Reason::Decided => "decided",
            Reason::BillOnly => "bill-only",
            Reason::Currency => "currency",
        }
    }
}
