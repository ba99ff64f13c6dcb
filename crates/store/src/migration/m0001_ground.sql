-- Registry
CREATE TABLE registry_version (
    id integer PRIMARY KEY CHECK (id = 1),
    version @i64 NOT NULL
);
INSERT INTO registry_version (id, version) VALUES (1, 1);

CREATE TABLE institution (
    code text PRIMARY KEY,
    kind text NOT NULL,
    parent_code text REFERENCES institution (code),
    name_fa text NOT NULL,
    name_en text NOT NULL,
    state text NOT NULL,
    successor_code text REFERENCES institution (code),
    create_time @i64 NOT NULL,
    update_time @i64 NOT NULL,
    version @i64 NOT NULL
);

CREATE TABLE institution_alias (
    alias text PRIMARY KEY,
    institution_code text NOT NULL REFERENCES institution (code)
);
CREATE INDEX institution_alias_by_institution ON institution_alias (institution_code);

CREATE TABLE expert (
    institution_code text NOT NULL REFERENCES institution (code),
    expert_code text NOT NULL,
    display_name_fa text NOT NULL,
    state text NOT NULL,
    create_time @i64 NOT NULL,
    update_time @i64 NOT NULL,
    version @i64 NOT NULL,
    PRIMARY KEY (institution_code, expert_code)
);

CREATE TABLE caller (
    caller_id text PRIMARY KEY,
    class text NOT NULL,
    institution_code text REFERENCES institution (code),
    display_name text NOT NULL,
    state text NOT NULL,
    create_time @i64 NOT NULL,
    update_time @i64 NOT NULL,
    version @i64 NOT NULL
);

CREATE TABLE client_certificate (
    fingerprint text PRIMARY KEY,
    caller_id text NOT NULL REFERENCES caller (caller_id),
    slot integer CHECK (slot IN (1, 2)),
    create_time @i64 NOT NULL,
    retire_time @i64
);
CREATE UNIQUE INDEX client_certificate_slot ON client_certificate (caller_id, slot);

CREATE TABLE term (
    academic_year integer NOT NULL,
    kind text NOT NULL,
    start_date integer NOT NULL,
    end_date integer NOT NULL,
    PRIMARY KEY (academic_year, kind)
);

CREATE TABLE workflow_version (
    id text PRIMARY KEY,
    service text NOT NULL,
    rules text NOT NULL
);

CREATE TABLE service_call (
    id text PRIMARY KEY,
    service text NOT NULL,
    state text NOT NULL,
    open_time @i64 NOT NULL,
    close_time @i64,
    eligible_types text NOT NULL,
    document_kinds text NOT NULL,
    workflow_version text NOT NULL REFERENCES workflow_version (id),
    run_off_days integer NOT NULL
);

CREATE TABLE agreement (
    id text PRIMARY KEY,
    call_id text NOT NULL REFERENCES service_call (id),
    consumer text NOT NULL,
    state text NOT NULL,
    purposes text NOT NULL
);

CREATE TABLE tariff_year (
    year integer PRIMARY KEY,
    legal_reference text NOT NULL
);

CREATE TABLE tariff_row (
    id integer PRIMARY KEY,
    year integer NOT NULL REFERENCES tariff_year (year),
    service text NOT NULL,
    request_type text,
    institution_type text,
    amount @i64 NOT NULL CHECK (amount >= 0),
    unit text NOT NULL,
    legal_reference text NOT NULL
);

-- What a request_id stands for
CREATE TABLE request_claim (
    caller_id text NOT NULL,
    method text NOT NULL,
    request_id @uuid NOT NULL,
    row integer NOT NULL,
    digest @bytes NOT NULL,
    resource text NOT NULL,
    outcome text NOT NULL,
    create_time @i64 NOT NULL,
    PRIMARY KEY (caller_id, method, request_id, row)
);

-- Records
CREATE TABLE enrollment_record (
    id @uuid PRIMARY KEY,
    institution_code text NOT NULL REFERENCES institution (code),
    student_number text NOT NULL,
    person_key text NOT NULL,
    status text NOT NULL,
    content text NOT NULL,
    as_of_time @i64 NOT NULL,
    receive_time @i64 NOT NULL,
    CONSTRAINT enrollment_record_student UNIQUE (institution_code, student_number)
);
CREATE INDEX enrollment_record_person ON enrollment_record (person_key);

CREATE TABLE enrollment_event (
    id @uuid PRIMARY KEY,
    record_id @uuid NOT NULL REFERENCES enrollment_record (id),
    kind text NOT NULL,
    effective_date integer NOT NULL,
    as_of_time @i64 NOT NULL,
    receive_time @i64 NOT NULL,
    applied @bool NOT NULL
);
CREATE INDEX enrollment_event_record ON enrollment_event (record_id);

-- Documents
CREATE TABLE validity_code (
    id @uuid PRIMARY KEY,
    code text NOT NULL,
    institution_code text NOT NULL REFERENCES institution (code),
    person_key text NOT NULL,
    degree_level text NOT NULL,
    document_kind text NOT NULL,
    external_ref text NOT NULL,
    live_key text,
    state text NOT NULL,
    content text NOT NULL,
    issue_time @i64 NOT NULL,
    expire_time @i64,
    revocation text,
    remark text,
    superseded_by @uuid REFERENCES validity_code (id),
    update_time @i64 NOT NULL,
    version @i64 NOT NULL,
    CONSTRAINT validity_code_code UNIQUE (code),
    CONSTRAINT validity_code_live UNIQUE (live_key)
);
CREATE INDEX validity_code_listing ON validity_code (institution_code, issue_time, id);
CREATE INDEX validity_code_newest ON validity_code (issue_time, id);
CREATE INDEX validity_code_person ON validity_code (person_key);

CREATE TABLE certificate_application (
    id @uuid PRIMARY KEY,
    institution_code text NOT NULL REFERENCES institution (code),
    person_key text NOT NULL,
    open_key text,
    state text NOT NULL,
    content text NOT NULL,
    certificate_id @uuid NOT NULL,
    create_time @i64 NOT NULL,
    update_time @i64 NOT NULL,
    CONSTRAINT certificate_application_open UNIQUE (open_key)
);
CREATE INDEX certificate_application_listing ON certificate_application (institution_code, create_time, id);
CREATE INDEX certificate_application_newest ON certificate_application (create_time, id);
CREATE INDEX certificate_application_person ON certificate_application (person_key);

CREATE TABLE application_step (
    application_id @uuid NOT NULL REFERENCES certificate_application (id),
    step integer NOT NULL,
    state text NOT NULL,
    change_time @i64 NOT NULL,
    actor text NOT NULL,
    PRIMARY KEY (application_id, step)
);

CREATE TABLE enrollment_certificate (
    id @uuid PRIMARY KEY,
    code text NOT NULL,
    serial text NOT NULL,
    application_id @uuid NOT NULL REFERENCES certificate_application (id),
    institution_code text NOT NULL REFERENCES institution (code),
    person_key text NOT NULL,
    state text NOT NULL,
    content text NOT NULL,
    payload @bytes NOT NULL,
    key_id text NOT NULL,
    signed_document @bytes,
    lease_owner @uuid,
    lease_until @i64,
    issue_time @i64 NOT NULL,
    expire_time @i64 NOT NULL,
    revocation text,
    remark text,
    superseded_by @uuid REFERENCES enrollment_certificate (id),
    update_time @i64 NOT NULL,
    version @i64 NOT NULL,
    CONSTRAINT enrollment_certificate_code UNIQUE (code),
    CONSTRAINT enrollment_certificate_serial UNIQUE (serial)
);
CREATE INDEX enrollment_certificate_listing ON enrollment_certificate (institution_code, issue_time, id);
CREATE INDEX enrollment_certificate_newest ON enrollment_certificate (issue_time, id);
CREATE INDEX enrollment_certificate_person ON enrollment_certificate (person_key);
CREATE INDEX enrollment_certificate_intents ON enrollment_certificate (lease_until) WHERE signed_document IS NULL;

CREATE TABLE serial_counter (
    year integer PRIMARY KEY,
    next_number @i64 NOT NULL
);

-- Audit and events
CREATE TABLE audit_entry (
    id @uuid PRIMARY KEY,
    act_time @i64 NOT NULL,
    actor text NOT NULL,
    on_behalf text NOT NULL,
    method text NOT NULL,
    resource text NOT NULL,
    action text NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    reason text NOT NULL,
    subject_hash text NOT NULL,
    institution_code text NOT NULL,
    request_id text NOT NULL,
    trace_id text NOT NULL
);

CREATE TABLE audit_pending (
    entry_id @uuid PRIMARY KEY REFERENCES audit_entry (id)
);

CREATE TABLE change_event (
    entry_id @uuid PRIMARY KEY REFERENCES audit_entry (id),
    event_time @i64 NOT NULL,
    institution_code text NOT NULL,
    caller_id text NOT NULL,
    resource text NOT NULL,
    kind text NOT NULL,
    state text NOT NULL
);

CREATE TABLE audit_chain (
    seq @i64 PRIMARY KEY,
    entry_id @uuid NOT NULL UNIQUE REFERENCES audit_entry (id),
    prev_hash @bytes NOT NULL,
    hash @bytes NOT NULL
);
