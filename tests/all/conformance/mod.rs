//! Agreement with what the real components decided, a file an area.

mod objects;
