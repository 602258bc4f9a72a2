//! What kube-proxy chose and when it wrote its rules.

mod endpoint_choice;
mod objects;
mod proxy_sync;
