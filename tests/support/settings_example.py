"""A valid settings file, from which tests make variants."""

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VALID = f"""\
kafka:
  bootstrap_servers: ["localhost:9092"]
sources:
  fineract: {{topics: [external-events], format: fineract, schemas: avro}}
  orders: {{topics: [outbox.orders], format: json, id: id, type: type}}
endpoints:
  crm:
    url: https://crm.example.com/hooks
    sources: [fineract]
    secrets: [{SECRET}]
"""
