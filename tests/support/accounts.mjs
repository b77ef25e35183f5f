// The domains and accounts that the servers of the tests have.
export const DOMAIN = 'example.test';
export const ANONYMOUS_DOMAIN = 'anon.example.test';
export const PASSWORDS = { alice: 'wonder-Land-7', bob: 'builder-Secret-8', carol: 'caroline-Hidden-9' };
// Longest time of a login. Clients in JavaScript spend most of it on SCRAM: thousands of hashes, one after the other.
export const LOGIN_MS = 30000;
