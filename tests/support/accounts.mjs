// The domains and accounts that the servers of the tests have.
export const DOMAIN = 'example.test';
export const ANONYMOUS_DOMAIN = 'anon.example.test';
export const PASSWORDS = { alice: 'wonder-Land-7', bob: 'builder-Secret-8', carol: 'caroline-Hidden-9' };
