"""Words that carry no subject, by language: left out of what a text is found by.

Short on purpose: what else is in most passages of a site weighs next to nothing by its frequency.
"""

from __future__ import annotations

from collections.abc import Mapping

_WORDS = {
    "en": """
        a about all also am an and any are as at be been being but by can could did do does doing for from had has have
        having he her here hers him his how i i'm if in into is it it's its just me my no nor not of on or our ours she
        should so such than that that's the their theirs them then there these they this those to too up us very was we
        were what what's when where which while who whom whose why will with would you your yours
    """,
    "de": """
        aber alle allem allen aller als also am an auch auf aus bei beim bin bis bist da damit dann das dass dem den
        denn der des dich die dies diese diesem diesen dieser dieses dir doch du durch ein eine einem einen einer eines
        er es euch euer eure für gibt habe haben hat hatte ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ist ja
        jede jedem jeden jeder jedes kann kein keine keinen können man mein meine meinem meinen meiner mich mir mit muss
        nach nicht noch nun nur ob oder ohne sehr sein seine seinem seinen seiner sich sie sind so soll über um und uns
        unser unsere unter vom von vor war waren warum was welche welchem welchen welcher welches wenn wer werden wie
        wieso wir wird wo wurde wurden zu zum zur
    """,
    "fr": """
        à ai au aux avec ce ces cet cette comment dans de des du elle elles en est et eu il ils je la le les leur leurs
        lui ma mais me mes moi mon ne nos notre nous on ou où par pas pour pourquoi qu que quel quelle quelles quels qui
        quoi sa sans se ses si son sont sur ta te tes toi ton tu un une vos votre vous y été être c'est d l s n j m t
        qu'est peut
    """,
    "es": """
        a al algo como cómo con cual cuál cuando cuándo de del desde donde dónde el ella ellas ellos en entre era es esa
        ese eso esta está estas este esto estos están fue ha hay la las le les lo los me mi mis más muy no nos o para
        pero por porque qué que quien quién se ser si sin sobre son su sus también te tu tus un una unos unas y ya yo
    """,
    "it": """
        a ad ai al alla alle agli allo che chi ci come con cosa cui da dal dalla dalle dei del della delle dello di dove
        è e ed gli ha hanno i il in io la le lei lo loro lui ma mi mia mio nei nel nella nelle noi non o per perché più
        quale quali quando quella quelle quello questa queste questi questo se si sono su sua sul sulla suo tra tu un
        una uno vi voi
    """,
    "pt": """
        a ao aos as às até com como da das de dela dele do dos e é ela elas ele eles em entre era essa esse esta este eu
        foi há isso isto já lhe mais mas me meu minha muito na nas não no nos nós o onde os ou para pela pelas pelo
        pelos por porque quais qual quando que quem se sem ser seu sua são também te tem um uma umas uns você
    """,
    "nl": """
        aan al als bij dan dat de deze die dit door een en er had heb hebben heeft het hij hoe hun ik in is ja je jij
        jullie kan kunnen maar me met mijn moet na naar niet nog nu of om ons onze ook op over te tot u uit van voor
        waar waarom want was wat we welk welke werd wie wij word worden wordt ze zich zij zijn zo zou
    """,
}
STOP_WORDS: Mapping[str, frozenset[str]] = {language: frozenset(words.split()) for language, words in _WORDS.items()}
