//! Load generator for Gavah, the bare-echo floor and the report.
