"""What callers say in the end-of-turn sets: lists that share no sentence but a bare "yes" and "no".

A bar is a place where the caller may pause. {a|b} is a choice. Tuning: a dentist, a restaurant, a telephone company, a
garage. Validation: a hotel, a bank, a parcel service, an insurer, computer support. One author wrote both before anything
was tuned; the second was held out at first and has been looked at since. What is held out now lies in a file of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench.speech import held_out_sentences as held_out

# The pause falls inside a phrase.
_MID_T = """
I would like | to make | an appointment for {Monday|Thursday} morning
I need to | change my appointment to | {next week|the fifteenth}
I'm calling about the | {bill|invoice} I got | last week
can you put me through to the | {manager|front desk} please
we have a table booked for | six people on | Friday evening
my {tooth|jaw} has been | hurting since | yesterday
I think I left my | {jacket|umbrella} at your | place on Sunday
the internet in my | apartment is | very slow
my car makes a | strange noise when I | {brake|turn left}
please tell doctor Evans that | I will be | ten minutes late
I'd like the | {fish|steak} with a | green salad
we are looking for a | restaurant with a | private room
I was told that the | repair would take | two days
I want to cancel | my {contract|subscription}
my daughter needs a | check up before | school starts
it should be under the name of | {Miller|Thompson}
you can reach me at | the office until | five
the technician said he would | come on | Wednesday
I paid with my | credit card on the | third of May
I'd rather have a | table by the | window
"""
_MID_V = """
I have a reservation for | two nights under | {Bergman|Castillo}
I'd like to | check out | tomorrow at {seven|eleven}
my parcel was supposed to | arrive on | {Tuesday|Saturday}
I'm trying to | open a | savings account
somebody hit my | {truck|motorbike} in the | parking lot
the laptop you sent me | doesn't turn | on
I want to transfer | two hundred dollars to | my {brother|landlord}
could you send the | {package|letter} to my | new address
I forgot the | password for my | work account
we would need a | room with | two beds
there is a | charge on my | statement that I don't recognize
I'm looking for | travel insurance for | {three|five} people
my printer says that the | {paper|toner} is | empty
the driver left the | box with my | neighbor
I need to talk to | somebody about a | {loan|mortgage}
please wake me up at | half past | six
the screen has been | flickering for | {two days|a week}
I would prefer a | room on the | top floor
you can leave it | behind the | garage door
I reported the | accident on | {Sunday night|the second of June}
"""

# The pause falls between clauses.
_CLAUSE_T = """
I called yesterday | but nobody answered
if you have something on Tuesday | that would be great
I can come at nine | or maybe a bit later
when I bite on something cold | it really hurts
the food was good | but the service was slow
since I moved here | the phone doesn't work
we wanted to sit outside | because it's so warm
I asked for the blue one | and you sent me the red one
I'd take the morning slot | if it's still free
the garage told me to wait | so I waited for two hours
before we order | could we get some water
he said it was fixed | but the light is still on
"""
_CLAUSE_V = """
I tried to pay online | but it didn't go through
if the room isn't ready | we can wait in the bar
the website says delivered | although nothing has arrived
I could do Thursday | or any day after that
after I updated the system | the sound stopped working
my card was declined | even though there's money on it
because of the storm | our flight was cancelled
I filled in the form | and sent it back in March
we'd like a late checkout | if that's possible
the other driver admitted it | but he won't give me his details
unless you can come today | I'll have to ask someone else
I've restarted it twice | and it still freezes
"""

_QUESTION_T = """
what time do you | open on {Saturdays|Sundays}
how much | does a {cleaning|filling} cost
do you have anything | in the afternoon
can I bring | my dog
is there a | {bus stop|parking garage} close to | your place
where do I | send the | contract
could you tell me | when my car will be | ready
do you take | credit cards
are you still | serving lunch
would it be possible | to move it to | four o'clock
which plan is | the cheapest
does the doctor | speak Spanish
"""
_QUESTION_V = """
when can I | check in
how long does | a transfer to {Canada|Norway} take
is breakfast | included in the | price
what's the | interest rate for | new customers
could you check | where my parcel is | right now
do I need to | sign for it
does my policy | cover {water damage|a rental car}
can somebody | look at my computer | remotely
how do I | reset my | pin
is there a | gym in the | hotel
what happens if I | cancel the trip
which branch is | open on | Saturday
"""

# A whole sentence, then another one.
_TWO_T = """
I have a question about my bill | it's higher than last month
my filling fell out | can I come in today
we are running late | could you keep the table
that was very good | could we have the bill now
the line is dead | it has been like that since noon
my name is {Peter Walsh|Laura King} | I have an appointment at ten
I don't need the starter | just the main course
the brakes are squeaking | is that dangerous
I'm not happy with the crown | it feels too high
there are four of us | and one baby
"""
_TWO_V = """
I'm calling about a claim | I sent it three weeks ago
my key card doesn't work | I'm in front of room twelve
I didn't order this | how do I send it back
I lost my debit card | please block it
the mouse doesn't react | I've already changed the batteries
we arrive on the ninth | and leave on the twelfth
my name is {Nadia Brandt|Oliver Chen} | I'm a customer of yours
nobody rang the bell | I was at home all day
I moved last month | here is my new address
the heating in our room is off | could someone have a look
"""

_OPENING_T = """
hi | good morning | I'd like to make an appointment
hello | this is {Mark Davis|Julia Stone} | I have a table booked for tonight
good afternoon | I'm calling about my car
hi there | do you have a table for two
thanks | one more thing | do you take cash
good evening | are you still open
hello | can you hear me
hey | my internet is down
"""
_OPENING_V = """
good morning | my name is {Helen Fischer|Sam Ortega} | I have a booking with you
hello | I'm waiting for a parcel
hi | good afternoon | I'd like to speak to someone about a loan
hello there | I can't log in to my account
good evening | is the restaurant in the hotel still open
thank you | and what about parking
hi | yes | I need to report an accident
excuse me | could you repeat the last part
"""

_HESITATION_T = """
um | I would like to have a look at the menu
so | the thing is | I lost my receipt
I'd like the | um | the chicken with rice
well | I think it was on Monday
it was | uh | about fifty dollars
let me see | it's the twenty first of April
I was wondering | um | if you have time today
er | could you say that again
the bill says | uh | ninety euros
so | um | can I come by tomorrow
hmm | I'd say around seven
you know | I'd rather talk to a person
"""
_HESITATION_V = """
um | it's about the room we booked
well | I'm not sure which one I need
I'd like to | uh | extend my stay by one night
the parcel is | um | quite heavy
so | basically | the screen stays black
uh | let me think | the policy starts in August
it happened | um | near the train station
hmm | then I'll take the smaller one
I mean | can't you just refund it
the name of the bank is | uh | First National
er | my wife has the number
so | what should I do now
"""

_YES_NO_T = """
yes
no
yes please
no thanks
yeah that's fine
yes | that works for me
no | I don't think so
sure | go ahead
right | exactly
no | the other one
yeah | but only in the morning
okay | that's great
"""
_YES_NO_V = """
yes
no
yep
yes that's right
no thank you
correct
yes | I am
no | not yet
absolutely
yes | and my wife too
no | it was the day before
yeah | I guess so
"""

_SHORT_T = """
tomorrow
at nine
{Peter Walsh|Laura King}
two people
the blue one
on Friday
next Tuesday morning
a table for four
at the front desk
around noon
"""
_SHORT_V = """
tonight
at half past six
{Nadia Brandt|Oliver Chen}
just one night
the bigger one
on Sunday
from the twelfth of May
a double room
in the lobby
in Boston
"""

_PLAIN_T = """
I'd like to book a table for tonight
can I have the bill please
my tooth hurts
what are your opening hours
I'm here to pick up my car
it stopped working this morning
do you have vegetarian dishes
how much is it
that sounds good
I'll take it
could you call me back later
I don't want to wait any longer
when is the next free appointment
it's the red one over there
please send me the bill by mail
I have to cancel for today
the phone is broken again
where are you located
"""
_PLAIN_V = """
I'd like to check in please
can you send it again
my parcel never arrived
what does it cost per night
I need a new bank card
it won't start anymore
is the pool open today
who do I talk to about this
that's very kind of you
I'll think about it
could you spell that for me
I can't find my booking
when will it be delivered
we need two more towels
please close my account
I'd like to speak to a supervisor
nothing happens when I press the button
how far is the airport
"""

NAMES = {
    "tuning": "miller thompson evans walsh king garcia novak schmidt peterson clarke hughes romero".split(),
    "validation": "bergman castillo fischer ortega brandt chen wallace jensen kowalski moreau singh quinn".split(),
    "held_out": held_out.NAMES,
}
DOMAINS = {
    "tuning": ("gmail dot com", "hotmail dot com", "web dot net"),
    "validation": ("yahoo dot com", "outlook dot com", "icloud dot com"),
    "held_out": held_out.DOMAINS,
}
NUMBER_LEADS = {
    "tuning": ("my number is", "it's", "you can call me at", ""),
    "validation": ("the phone number is", "that would be", "call me back on", ""),
    "held_out": held_out.NUMBER_LEADS,
}
CARD_LEADS = {
    "tuning": ("the card number is", "it's", ""),
    "validation": ("my account number is", "the reference is", ""),
    "held_out": held_out.CARD_LEADS,
}
SPELL_LEADS = {
    "tuning": ("my last name is {name} | that's", "it's spelled", ""),
    "validation": ("the name is {name} | spelled", "you write it", ""),
    "held_out": held_out.SPELL_LEADS,
}
EMAIL_LEADS = {
    "tuning": ("my email is", "it's", ""),
    "validation": ("the address is", "you can write to", ""),
    "held_out": held_out.EMAIL_LEADS,
}

SENTENCES: Mapping[str, Mapping[str, str]] = {
    "tuning": {
        "mid": _MID_T, "clause": _CLAUSE_T, "question": _QUESTION_T, "two": _TWO_T, "opening": _OPENING_T,
        "hesitation": _HESITATION_T, "yes_no": _YES_NO_T, "short": _SHORT_T, "plain": _PLAIN_T,
    },
    "validation": {
        "mid": _MID_V, "clause": _CLAUSE_V, "question": _QUESTION_V, "two": _TWO_V, "opening": _OPENING_V,
        "hesitation": _HESITATION_V, "yes_no": _YES_NO_V, "short": _SHORT_V, "plain": _PLAIN_V,
    },
    "held_out": held_out.SENTENCES,
}  # fmt: skip
