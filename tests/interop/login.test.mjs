import { Prosody } from '../support/prosody.mjs';
import { testLogin } from './scenarios/login.mjs';
import { openPlace } from './scenarios/place.mjs';

testLogin(openPlace(() => Prosody.start({ mechanismsOff: ['PLAIN', 'OAUTHBEARER'] })));
