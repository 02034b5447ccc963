<?php
// Verify the requests of standard input with the code block of docs/how-to/verifying/php.md.
require __DIR__ . '/verify.php';

while (($line = fgets(STDIN)) !== false) {
    $fields = array_map(fn ($field) => base64_decode(substr($field, 1)), explode("\t", rtrim($line, "\n")));
    [$keys, $id, $timestamp, $signature, $now, $body] = $fields;
    $headers = ['webhook-id' => $id, 'webhook-timestamp' => $timestamp, 'webhook-signature' => $signature];
    try {
        echo 'ok ', verify_webhook(explode(',', $keys), $headers, $body, (int) $now), "\n";
    } catch (RuntimeException) {
        echo "no\n";
    }
}
