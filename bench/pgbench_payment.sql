-- One approved, automatically captured card payment, row by row as a hand-written application would write it.
-- `pgbench.py` runs it, and gives the JSON documents as variables; :name is sent as a parameter.
\set merchant random(1, :merchants)
\set buyer random(1, :buyers)

-- The first transaction: what must be durable before the processor is asked. An application makes ids and names itself;
-- here they come back with the first row, without a round trip of their own.
BEGIN;
INSERT INTO idempotency_keys (merchant_id, key, attempt_id, request_hash, payment_id, transaction_id, created_at)
VALUES ((:merchant_prefix || lpad(:merchant, 12, '0'))::uuid, gen_random_uuid()::text, gen_random_uuid(),
    :request_hash, uuidv7(), uuidv7(), now())
ON CONFLICT DO NOTHING
RETURNING merchant_id AS merchant_id, key AS key, payment_id AS payment_id, transaction_id AS transaction_id,
    jsonb_build_array(key) AS keys, uuidv7() AS capture_journal, uuidv7() AS fee_journal,
    'pi_' || right(payment_id::text, 4) || left(md5(payment_id::text), 20) AS intent,
    'ch_' || left(md5(transaction_id::text), 24) AS charge, 'txn_' || left(md5(key), 24) AS balance,
    'cus_' || lpad(:buyer, 8, '0') AS customer, 'ada.' || lpad(:buyer, 8, '0') || '@example.com' AS email,
    'dev_' || lpad(:buyer, 8, '0') AS device,
    '203.0.' || :buyer::integer / 250 || '.' || :buyer::integer % 250 AS ip,
    md5('card' || :buyer) AS card, md5('address' || :buyer) AS shipping_key
\gset
INSERT INTO payments (merchant_id, id, state, amount, currency, method, capture_method, amount_authorized,
    amount_captured, amount_refunded, amount_refunding, amount_disputed, beyond_limit, card_brand, card_last4,
    card_exp_month, card_exp_year, customer_id, customer_email, customer_ip, customer_device_id, customer_phone,
    customer_user_agent, billing_address, shipping_address, description, metadata, return_url, cancel_url, redirect_url,
    failure, processor, processor_account_id, processor_payment_id, processor_authorization_id, processor_capture_id,
    test_mode, created_at, updated_at, processor_checks, early_fraud_warning, card_fingerprint, card_bin, email_key,
    email_domain, holder_hash, shipping_key)
VALUES (:merchant_id, :payment_id, 'PROCESSING', 1999, 'USD', 'CREDIT_CARD', 'AUTOMATIC', 0,
    0, 0, 0, 0, false, 'visa', '4242',
    12, 2030, :customer, :email, :ip, :device, '+14155550123',
    :user_agent, :address, :address, 'Order 1001', :metadata, '', '', '',
    NULL, 'stripe', '00000000-0000-0000-0000-000000000001', '', '', '',
    true, now(), now(), '{}', false, :card, :card_bin, :email,
    'example.com', '7b42f7df65477f84e7ff5525990377d1', :shipping_key);
INSERT INTO fraud_decisions (merchant_id, payment_id, outcome, score_thousandths, rules, shadow_rules, ruleset, facts,
    backend, role, shadows, created_at)
VALUES (:merchant_id, :payment_id, 'ALLOW', 0, '[]', '[]', :ruleset, :facts, 'engine', 'LIVE', '[]', now());
INSERT INTO transactions (merchant_id, id, payment_id, type, state, amount, currency, processor, processor_account_id,
    processor_transaction_id, reason, failure, waiting, owner, lease_until, attempts, idempotency_keys, detail,
    created_at, updated_at)
VALUES (:merchant_id, :transaction_id, :payment_id, 'AUTHORIZATION', 'PENDING', 1999, 'USD', 'stripe',
    '00000000-0000-0000-0000-000000000001', '', '', NULL, false, '7d7ad29b-7e6a-4c0c-8a44-8d2b6f1c2f10',
    now() + interval '30 seconds', 0, :keys, :detail, now(), now());
COMMIT;

-- The second: the processor has said yes.
BEGIN;
UPDATE transactions SET state = 'COMPLETED', processor_transaction_id = :charge, owner = NULL,
    lease_until = now() + interval '15 seconds', updated_at = now()
WHERE merchant_id = :merchant_id AND id = :transaction_id AND state = 'PENDING';
INSERT INTO processor_objects (account_id, object_id, merchant_id, payment_id, transaction_id)
VALUES ('00000000-0000-0000-0000-000000000001', :charge, :merchant_id, :payment_id, :transaction_id),
    ('00000000-0000-0000-0000-000000000001', :intent, :merchant_id, :payment_id, :transaction_id)
ON CONFLICT DO NOTHING;
UPDATE payments SET state = 'COMPLETED', amount_authorized = 1999, amount_captured = 1999,
    processor_payment_id = :intent, processor_authorization_id = :charge, processor_capture_id = :charge,
    processor_checks = :checks, updated_at = now()
WHERE merchant_id = :merchant_id AND id = :payment_id;
INSERT INTO ledger_entries (merchant_id, id, journal_id, kind, account, amount, currency, payment_id, transaction_id,
    processor_reference, created_at)
VALUES (:merchant_id, uuidv7(), :capture_journal, 'CAPTURE', 'processor_receivable', 1999, 'USD', :payment_id,
        :transaction_id, :charge, now()),
    (:merchant_id, uuidv7(), :capture_journal, 'CAPTURE', 'merchant_payable', -1999, 'USD', :payment_id,
        :transaction_id, :charge, now()),
    (:merchant_id, uuidv7(), :fee_journal, 'FEE', 'fees', 88, 'USD', :payment_id,
        :transaction_id, :balance, now()),
    (:merchant_id, uuidv7(), :fee_journal, 'FEE', 'processor_receivable', -88, 'USD', :payment_id,
        :transaction_id, :balance, now());
INSERT INTO events (merchant_id, id, type, payment_id, transaction_id, data, created_at)
VALUES (:merchant_id, uuidv7(), 'payment.completed', :payment_id, :transaction_id, :answer, now());
UPDATE idempotency_keys SET answer = :answer, answered_at = now()
WHERE merchant_id = :merchant_id AND key = :key AND answer IS NULL;
INSERT INTO processor_calls (merchant_id, payment_id, id, transaction_id, processor, processor_account_id, operation,
    idempotency_key, request, status, response, error, processor_request_id, started_at, duration_us)
VALUES (:merchant_id, :payment_id, uuidv7(), :transaction_id, 'stripe', '00000000-0000-0000-0000-000000000001',
    'POST v1/payment_intents', :transaction_id, :request, 200, :response, '', 'req_134d245f1ccebd', now(), 4810)
ON CONFLICT DO NOTHING;
COMMIT;
