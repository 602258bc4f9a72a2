//! Distributions as people write them: one value, or a law by its usual parameters.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use crate::base::{Distribution, dist::Empirical};

use super::units::Span;

/// A distribution of spans of time, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Law(pub Distribution);

/// A law by its parameters: exactly one of the forms.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LawFile {
    /// Always this.
    constant: Option<Span>,
    /// Lognormal: half are below.
    median: Option<Span>,
    /// Lognormal: 99 of 100 are below.
    p99: Option<Span>,
    /// Lognormal: the mean.
    mean: Option<Span>,
    /// Lognormal: standard deviation over mean.
    cv: Option<f64>,
    /// Evenly between the two.
    uniform: Option<(Span, Span)>,
    /// Exponential with this mean.
    exponential: Option<Span>,
    /// Weibull.
    weibull: Option<Weibull>,
    /// Pareto.
    pareto: Option<Pareto>,
    /// As measured: each value is as likely.
    empirical: Option<Vec<Span>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
struct Weibull {
    /// Above 1: the rate grows with age.
    shape: f64,
    /// 63 % are below.
    scale: Span,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
struct Pareto {
    /// The tail's exponent, alpha.
    shape: f64,
    /// The smallest value.
    min: Span,
}

const FORMS: &str = "expected exactly one form of distribution\none of: median + p99, mean + cv, \
                     exponential, uniform: [a, b], weibull, pareto, empirical: [..], constant";

impl LawFile {
    fn lower(self) -> Result<Distribution, String> {
        let forms = [
            self.constant.is_some(),
            self.median.is_some() || self.p99.is_some(),
            self.mean.is_some() || self.cv.is_some(),
            self.uniform.is_some(),
            self.exponential.is_some(),
            self.weibull.is_some(),
            self.pareto.is_some(),
            self.empirical.is_some(),
        ];
        if forms.iter().filter(|given| **given).count() != 1 {
            return Err(FORMS.to_owned());
        }
        let pairs = [
            ("median", self.median.is_some(), "p99", self.p99.is_some()),
            ("mean", self.mean.is_some(), "cv", self.cv.is_some()),
        ];
        for (one, has_one, other, has_other) in pairs {
            if has_one != has_other {
                let (given, absent) = if has_one { (one, other) } else { (other, one) };
                return Err(format!("`{given}` needs `{absent}` beside it\nor write one value"));
            }
        }
        if self.cv.is_some_and(|cv| cv < 0.0) {
            return Err("a coefficient of variation (cv) is not negative".to_owned());
        }
        let secs = |span: &Span| span.0.as_secs_f64();
        if let (Some(median), Some(p99)) = (&self.median, &self.p99) {
            return Ok(Distribution::log_normal_p99(secs(median), secs(p99)));
        }
        if let (Some(mean), Some(cv)) = (&self.mean, self.cv) {
            return Ok(Distribution::log_normal_cv(secs(mean), cv));
        }
        if let Some((low, high)) = &self.uniform {
            return Ok(Distribution::uniform(secs(low), secs(high)));
        }
        if let Some(Weibull { shape, scale }) = &self.weibull {
            return Ok(Distribution::Weibull { shape: *shape, scale: secs(scale) });
        }
        if let Some(Pareto { shape, min }) = &self.pareto {
            return Ok(Distribution::Pareto { shape: *shape, minimum: secs(min) });
        }
        if let Some(samples) = &self.empirical {
            let samples: Vec<f64> = samples.iter().map(secs).collect();
            let law = Empirical::from_samples(&samples).map_err(|error| error.to_string())?;
            return Ok(Distribution::Empirical(law));
        }
        match (&self.exponential, &self.constant) {
            (Some(mean), _) => Ok(Distribution::exponential(secs(mean))),
            (_, Some(value)) => Ok(Distribution::Constant(secs(value))),
            _ => Err(FORMS.to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for Law {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(LawVisitor)
    }
}

struct LawVisitor;

impl<'de> Visitor<'de> for LawVisitor {
    type Value = Law;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a span of time such as 4s, or a distribution such as { median: 4s, p99: 9s }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Law, E> {
        let value = super::units::span(text).map_err(E::custom)?;
        Ok(Law(Distribution::Constant(value.as_secs_f64())))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Law, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Law, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Law, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Law, A::Error> {
        let file = LawFile::deserialize(MapAccessDeserializer::new(map))?;
        let law = file.lower().map_err(de::Error::custom)?;
        law.validate().map_err(de::Error::custom)?;
        Ok(Law(law))
    }
}

impl JsonSchema for Law {
    fn schema_name() -> Cow<'static, str> {
        "Law".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let span = generator.subschema_for::<Span>();
        let file = generator.subschema_for::<LawFile>();
        json_schema!({
            "description": "a span of time, or a distribution of it",
            "anyOf": [span, file],
        })
    }
}
