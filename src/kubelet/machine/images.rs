//! The image manager (rules N60 to N63).
