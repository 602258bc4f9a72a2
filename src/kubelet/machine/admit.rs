//! Admission (rules N40 to N46).
