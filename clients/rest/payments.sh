#!/bin/sh
# The life of a payment over REST, with curl: takes, reads, repeats, refunds, captures, cancels, lists, and looks into the books.
#
#   . .kassa/demo.env && export KASSA_URL KASSA_API_KEY && sh clients/rest/payments.sh
set -eu
: "${KASSA_URL:?the address of the gateway, such as http://127.0.0.1:8080}" "${KASSA_API_KEY:?a merchant key, sk_test_…}"

CARD='"card": {"number": "4242424242424242", "exp_month": 12, "exp_year": 2030, "cvc": "123"}'
DECLINED='"card": {"number": "4000000000000002", "exp_month": 12, "exp_year": 2030, "cvc": "123"}'
ORDER='"currency": "USD", "method": "CREDIT_CARD", "customer": {"id": "cus_42", "ip": "203.0.113.7"}'
RUN="$(date +%s)-$$"
STEP=0

# Sends a request, shows status and body, and leaves the body in $BODY. Each call that changes something has its own key,
# from the fourth argument where one is given.
call() {
	STEP=$((STEP + 1))
	echo "$1 $2 ${3-}"
	answer=$(curl --silent --show-error --max-time 40 --request "$1" "$KASSA_URL$2" \
		--header "authorization: Bearer $KASSA_API_KEY" \
		--header "idempotency-key: ${4-$RUN-$STEP}" \
		--header "content-type: application/json" \
		--data "${3-}" --write-out '\n%{http_code}')
	BODY=$(printf '%s\n' "$answer" | sed '$d')
	STATUS=$(printf '%s\n' "$answer" | tail -n 1)
	printf '%s %s\n\n' "$STATUS" "$BODY"
}

# Ends the journey unless the last answer had this status and this text.
expect() {
	case "$STATUS $BODY" in
	"$1 "*"$2"*) ;;
	*) echo "expected $1 with $2" >&2 && exit 1 ;;
	esac
}

id() { printf '%s' "$BODY" | sed -n 's/^{"id":"\([^"]*\)".*/\1/p'; }

call POST /v1/payments "{\"amount\": 1999, $ORDER, $CARD}" "$RUN-order"
expect 201 '"state":"COMPLETED"'
PAYMENT=$(id)
call POST /v1/payments "{\"amount\": 1999, $ORDER, $CARD}" "$RUN-order"
expect 201 "\"id\":\"$PAYMENT\"" # the same key: the same payment, and one charge
call GET "/v1/payments/$PAYMENT"
expect 200 '"amount_captured":"1999"'
call POST "/v1/payments/$PAYMENT/refunds" '{"amount": 500, "reason": "REQUESTED_BY_CUSTOMER"}'
expect 200 '"amount":"500"'
call POST "/v1/payments/$PAYMENT/refunds" '{"amount": 1500}'
expect 400 '"code":"REFUND_EXCEEDS_CAPTURED"'
call GET "/v1/payments/$PAYMENT/transactions"
expect 200 '"type":"REFUND"'
call GET "/v1/payments/$PAYMENT/timeline"
expect 200 '"operation":"POST v1/refunds"'

call POST /v1/payments "{\"amount\": 1999, $ORDER, $DECLINED}"
expect 402 '"state":"FAILED"'

call POST /v1/payments "{\"amount\": 5000, \"capture_method\": \"MANUAL\", $ORDER, $CARD}"
expect 201 '"state":"AUTHORIZED"'
call POST "/v1/payments/$(id)/capture" '{"amount": 3000}'
expect 200 '"amount_captured":"3000"'

call POST /v1/payments "{\"amount\": 2000, \"capture_method\": \"MANUAL\", $ORDER, $CARD}"
expect 201 '"state":"AUTHORIZED"'
call POST "/v1/payments/$(id)/cancel" '{"reason": "Sold out"}'
expect 200 '"state":"CANCELLED"'

call GET "/v1/payments?state=COMPLETED&page_size=10"
expect 200 "\"id\":\"$PAYMENT\""

call GET "/v1/ledger/balances"
expect 200 '"account":"REFUNDS","currency":"USD"'
call GET "/v1/ledger/trial_balance"
expect 200 '"total":"0"'
echo "The journey is complete."
