"""The site's configuration: YAML with places, a strict model, the rules between sections, and the sealed file the loop runs from.

`load.load_site` reads, `rules` refuses contradictions, `seal` compiles. A site file never reaches the loop: it reads what was sealed.
"""
