//! Amounts in minor units, and their text.

/// A currency by its code and the number of decimals that it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Currency {
    /// ISO 4217 code.
    pub code: &'static str,
    /// Decimals: 0 for the yen, 3 for the Kuwaiti dinar.
    pub decimals: u8,
}

/// The currencies that the company sells in.
pub(crate) const CURRENCIES: [Currency; 6] = [
    Currency {
        code: "EUR",
        decimals: 2,
    },
    Currency {
        code: "USD",
        decimals: 2,
    },
    Currency {
        code: "GBP",
        decimals: 2,
    },
    Currency {
        code: "JPY",
        decimals: 0,
    },
    Currency {
        code: "KWD",
        decimals: 3,
    },
    Currency {
        code: "CHF",
        decimals: 2,
    },
];

impl Currency {
    /// The currency at that place of the table.
    pub(crate) fn at(place: u8) -> Self {
        CURRENCIES
            .get(usize::from(place))
            .copied()
            .unwrap_or_default()
    }

    /// Writes an amount of minor units as decimal text, exactly.
    pub fn text(self, minor: i64) -> String {
        let unit = 10_u64.pow(u32::from(self.decimals));
        let sign = if minor < 0 { "-" } else { "" };
        let size = minor.unsigned_abs();
        if self.decimals == 0 {
            return format!("{sign}{size}");
        }
        let width = usize::from(self.decimals);
        format!("{sign}{}.{:0width$}", size / unit, size % unit)
    }
}
